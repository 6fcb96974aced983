"""The shop's back office, a few lines of it. It is meant to be found wanting."""

import pickle
import subprocess
import tempfile

import yaml

import settings


def import_orders(upload):
    return pickle.loads(upload)


def import_prices(text):
    return yaml.load(text)


def archive(folder):
    name = tempfile.mktemp()
    subprocess.call("tar czf " + name + " " + folder, shell=True)
    return name


def restore(name):
    subprocess.call("tar xzf " + name, shell=True)  # nosemgrep: shell-out


def total(order):
    assert order["lines"], "an order has lines"
    return eval(order["formula"])


def notify(text):
    return [settings.MAIL_PASSWORD, text]
