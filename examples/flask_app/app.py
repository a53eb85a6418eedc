"""A notice board: run it with `flask --app app run`, or by several workers of gunicorn."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, redirect, render_template, request

from tiercel import CACHE_MISSING, ArgsKeyField, cache_result, request_cached
from tiercel_flask import Tiercel

DATABASE = Path(os.environ.get("BOARD_DATABASE") or Path(tempfile.gettempdir(), "board.db"))

tiercel = Tiercel()


@request_cached
def database() -> sqlite3.Connection:
    """Return the connection of this request: opened once, whoever asks."""
    connection = sqlite3.connect(DATABASE)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS notices (id INTEGER PRIMARY KEY, author TEXT, text TEXT)"
    )
    return connection


@cache_result(key={"author": ArgsKeyField("author", partition=True)}, ttl=3600)
def count_of(author: str) -> int:
    """Count the notices of one author; kept until that author writes."""
    rows = database().execute("SELECT count(*) FROM notices WHERE author = ?", (author,))
    return int(rows.fetchone()[0])


@tiercel.cached_view(ttl=60, stale=600, tags=["notices"])
def front_page() -> str:
    """Show all notices: one rendering for all visitors, dropped when somebody writes."""
    rows = database().execute("SELECT author, text FROM notices ORDER BY id DESC LIMIT 50")
    return render_template("board.html", notices=rows.fetchall(), author=None, count=None)


@tiercel.cached_view(["path"], ttl=300, namespace=lambda request: g.user)
def my_page() -> str:
    """Show a user's own notices: each user has an entry, which others never see."""
    rows = database().execute("SELECT author, text FROM notices WHERE author = ?", (g.user,))
    count = count_of(g.user)
    return render_template("board.html", notices=rows.fetchall(), author=g.user, count=count)


def write() -> Any:
    """Add a notice, and drop just what it makes outdated."""
    connection = database()
    with connection:
        connection.execute(
            "INSERT INTO notices (author, text) VALUES (?, ?)", (g.user, request.form["text"])
        )
    tiercel.cache.drop_tags("notices")
    my_page.drop_namespace(g.user)
    count_of.delete_by_prefix(g.user)
    return redirect("/")


def close_database(_: object) -> None:
    """Close the connection of this request, if there is one."""
    connection = database.get_cache_only()
    if connection is not CACHE_MISSING:
        connection.close()


def load_user() -> Response | None:
    """Say who asks; a real application has sessions here."""
    g.user = request.headers.get("X-User", "guest")
    return None


def create_app(**config: Any) -> Flask:
    """Make the application."""
    made = Flask(__name__)
    made.config.from_mapping(
        SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
        TIERCEL_URL=os.environ.get("TIERCEL_URL"),
    )
    made.config.update(config)
    tiercel.init_app(made)
    made.before_request(load_user)
    made.teardown_request(close_database)
    made.add_url_rule("/", view_func=front_page)
    made.add_url_rule("/me", view_func=my_page)
    made.add_url_rule("/notices", view_func=write, methods=["POST"])
    return made


app = create_app()
