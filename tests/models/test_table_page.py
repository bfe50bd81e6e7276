import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from models import table_page
from models.scores import COLUMNS

TAKES = ["20240110_007", "20240111_004"]


def page(tmp_path, links):
    rows = {name: dict.fromkeys(COLUMNS) for name in ("real", "one <row>", "mean pose")}
    about = dict.fromkeys(rows, "a row")
    table_page.write_page(tmp_path / "t.html", rows, [], about=about, checked={"one <row>": []}, links=links)
    return (tmp_path / "t.html").read_text(encoding="utf-8")


def addresses(text):
    return [html.unescape(address) for address in re.findall(r'<a href="([^"]*)"', text)]


def test_an_address_names_the_page_the_take_and_what_is_shown():
    found = urlsplit(table_page.take_link("viewer", TAKES[0], ["captured", "trained_models"]))
    assert (found.scheme, found.netloc, found.path) == ("", "", f"viewer/{TAKES[0]}.html")
    assert parse_qs(found.fragment) == {"take": [TAKES[0]], "show": ["captured,trained_models"]}


def test_a_row_links_to_its_only_take(tmp_path):
    links = {"real": {TAKES[0]: "viewer/a.html"}, "one <row>": {TAKES[0]: 'viewer/b.html#a="b"&c'}}
    text = page(tmp_path, links)
    assert addresses(text) == ["viewer/a.html", 'viewer/b.html#a="b"&c'] * 7 + ['viewer/b.html#a="b"&c']
    assert '">one &lt;row&gt;</a></th>' in text and "<details" not in text and "<row>" not in text
    assert "<th>mean pose</th>" in text


def test_many_takes_are_listed_below_the_row(tmp_path):
    text = page(tmp_path, {"real": {take: f"viewer/{take}.html" for take in TAKES}})
    assert text.count("<summary>2 takes</summary>") == 7
    assert addresses(text) == [f"viewer/{take}.html" for take in TAKES] * 7


@pytest.mark.parametrize("links", [None, {}])
def test_a_page_without_viewer_links_nowhere(tmp_path, links):
    text = page(tmp_path, links)
    assert not addresses(text) and "in the viewer" not in text
