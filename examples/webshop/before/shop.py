"""A very small web shop. It is meant to be found wanting."""

import hashlib
import sqlite3
import subprocess

from flask import Flask, request

app = Flask(__name__)

DATABASE_PASSWORD = "correct-horse-battery"


def orders_of(customer):
    connection = sqlite3.connect("shop.db")
    query = "SELECT id, total FROM orders WHERE customer = '%s'" % customer
    return connection.execute(query).fetchall()


def voucher(code):
    return hashlib.md5(code.encode()).hexdigest()


@app.route("/invoice")
def invoice():
    number = request.args["number"]
    return subprocess.check_output("render-invoice " + number, shell=True)


@app.route("/orders")
def orders():
    return {"orders": orders_of(request.args["customer"])}


if __name__ == "__main__":
    app.run(host="0.0.0.0", debug=True)
