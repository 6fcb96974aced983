"""A very small web shop. It is meant to be found wanting.

The SQL is put together safely now, and the invoice needs no shell. The catalogue is new, and so are its weaknesses.
"""

import hashlib
import pickle
import sqlite3
import subprocess

import yaml
from flask import Flask, request

app = Flask(__name__)

DATABASE_PASSWORD = "correct-horse-battery"


def orders_of(customer):
    connection = sqlite3.connect("shop.db")
    query = "SELECT id, total FROM orders WHERE customer = ?"
    return connection.execute(query, (customer,)).fetchall()


def voucher(code):
    return hashlib.md5(code.encode()).hexdigest()


def catalogue(path):
    with open(path) as file:
        return yaml.load(file)


@app.route("/basket")
def basket():
    return {"basket": pickle.loads(request.cookies["basket"].encode())}


@app.route("/invoice")
def invoice():
    number = request.args["number"]
    return subprocess.check_output(["render-invoice", number])


@app.route("/orders")
def orders():
    return {"orders": orders_of(request.args["customer"])}


if __name__ == "__main__":
    app.run(host="0.0.0.0", debug=True)
