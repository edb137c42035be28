"""A Flask app. Flask comes with the runtime and is imported already in warm pods."""

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def index():
    return f"Hello, {request.args.get('name', 'world')}!\n"


@app.post("/sum")
def add():
    return jsonify(sum=sum(request.get_json()["numbers"]))
