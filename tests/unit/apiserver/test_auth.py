"""Tokens are made once, kept private, and read back."""

from __future__ import annotations

import pytest

from hearth.api.http import Request
from hearth.apiserver.auth import USERS, Authenticator, TokenFileError, User, load_users


def test_every_user_gets_a_token_of_its_own_that_stays(tmp_path):
    file = tmp_path / "tokens.csv"
    users = load_users(file)
    assert {user.name for user in users.values()} == {user.name for user in USERS.values()}
    assert load_users(file) == users
    assert file.stat().st_mode & 0o077 == 0


def test_users_can_be_added_to_the_file(tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text('secret,anna,1,"developers,testers"\nplain,bert,2\n\n')
    users = load_users(file)
    assert users["secret"] == User("anna", frozenset({"developers", "testers"}))
    assert users["plain"] == User("bert", frozenset())
    assert len(users) == 2 + len(USERS)
    assert load_users(file) == users
    request = Request("GET", "/api", headers={"authorization": "bearer secret"})
    assert Authenticator(users).user_of(request).name == "anna"


def test_a_broken_file_is_named_with_its_line(tmp_path):
    file = tmp_path / "tokens.csv"
    file.write_text("secret,anna,1\nonly-a-token\n")
    with pytest.raises(TokenFileError, match=r"tokens\.csv, line 2: 1 columns"):
        load_users(file)
    file.write_bytes(b"\xff\xff")
    with pytest.raises(TokenFileError, match="cannot be read"):
        load_users(file)
