"""The HTML page: offline, nothing in it is obeyed, every row with its picture."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from netvigil.comparison import chosen, compare, to_html
from netvigil.comparison.page import WIDTH, picture
from netvigil.comparison.runs import Run
from netvigil.evaluation import LabelUse, Spread

from .test_comparison import EVIL, RULE, method, receipt, runs

VOID = {"meta", "input", "rect", "path", "br"}


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the texts of table cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def text():
    good = receipt(RULE, method("m", 0.95), labels=LabelUse(train_filter=True))
    west = receipt(RULE, source="b.csv", sha256="b" * 64, without={"misconf": 60})
    return to_html(compare(runs(a=good, b=west)))


def test_it_needs_nothing_from_elsewhere(text):
    page = Page(text)
    for _, attrs in page.elements:
        assert not {"src", "href", "action", "onclick"} & set(attrs)
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.all("script")) == 2


def test_its_policy_allows_its_own_script_alone(text):
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    listed = " ".join(f"'sha256-{digest}'" for digest in digests)
    (policy,) = [m["content"] for m in Page(text).all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy
    assert f"script-src {listed}" in policy


def test_every_row_has_its_picture_and_every_run_its_receipt(text):
    page = Page(text)
    pictures = [svg["aria-label"] for svg in page.all("svg")]
    assert len(pictures) == 4
    assert "AUPRC 0.500, base rate 0.100" in pictures
    assert len(page.all("details")) == 2
    for shown in ("labels used by", "b.csv without misconf", "labels chose which flows were"):
        assert any(shown in t for t in page.texts)


def test_columns_can_be_sorted_by_numbers(text):
    page = Page(text)
    firsts = [th.get("data-first") for th in page.all("th") if "data-first" in th]
    assert firsts[:3] == ["descending"] * 3
    assert firsts[-2:] == ["ascending"] * 2
    values = [td["data-value"] for td in page.all("td") if "data-value" in td]
    assert "0.95" in values
    assert "" in values
    assert all(value == "" or float(value) >= 0 for value in values)


def test_figures_are_chosen():
    figures = chosen("mcc", ())
    shown = to_html(compare(runs(a=receipt(method("m")))), wide=figures, long=figures)
    assert "MCC" in shown
    assert "within pair" not in shown


def test_hostile_names_make_no_markup():
    evil = receipt(method(EVIL), source=EVIL, without={EVIL: 60}, parity=(EVIL,))
    text = to_html(compare([Run(EVIL, evil), Run("b", receipt(method("x"), test=7))]))
    page = Page(text)
    assert len(page.all("script")) == 2
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert any(r"a|b</td><script>alert(1)</script>\u202e" in t for t in page.texts)


def test_a_picture_has_the_scale_of_a_share():
    spread = Spread(mean=0.5, per_seed=(0.5,), low=0.25, high=0.75)
    row = compare(runs(a=receipt(method("m", metrics={"auprc": spread})))).rows[0]
    shown = picture(row)
    assert (shown.bar, shown.low, shown.high) == (WIDTH / 2, WIDTH / 4, WIDTH * 3 / 4)
    assert shown.base == WIDTH / 10
    assert shown.words == "AUPRC 0.500, interval 0.250 to 0.750, base rate 0.100"


def test_without_an_auprc_there_is_no_picture():
    lost = method("m", metrics={"auprc": Spread(mean=None, per_seed=(), reason="one class")})
    found = compare(runs(a=receipt(lost)))
    assert picture(found.rows[0]) is None
    assert "<svg" not in to_html(found)
