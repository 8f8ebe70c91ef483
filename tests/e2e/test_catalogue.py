"""What is on offer, as a stranger's client draws it: every show of the demo catalogue in both languages, and every state that a list shows."""

import json
import pathlib
import secrets

import pytest

from api import blanks, moment, new_key, until
from conftest import await_inventory, catalogue, new_ref

DEMO = json.loads((pathlib.Path(__file__).parents[2] / "catalogue" / "demo.json").read_text())
LANGUAGES = ("zh-CN", "en")


def other_scripts(text, language):
    """Whether an English text has Chinese characters, or a Chinese one has none."""
    return any("\u4e00" <= c <= "\u9fff" for c in text) != (language == "zh-CN")


@pytest.fixture(scope="module")
def demo(operator, nobody):
    """The demo catalogue: program id → its part of the file. Again and again it is the same."""
    objects = operator.call("POST", "/v1/admin/imports", DEMO)["objects"]
    ids = {(o["kind"], o["ref"]): o["id"] for o in objects}
    for (kind, _), show in ids.items():
        if kind == "show":
            await_inventory(nobody, show)
    return {ids["program", p["ref"]]: p for p in DEMO["programs"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_row_of_the_home_lists(nobody, demo, language):
    rows = {}
    for city in {v["city"][language] for v in DEMO["venues"]}:
        home = nobody.speaking(language).get("/v1/programs", params={"city": city, "page_size": 50})
        assert moment(home["server_time"]) > 0
        rows |= {row["program_id"]: row for row in home["programs"]}
        assert all(row["city"] == city for row in home["programs"])
    assert set(demo) <= set(rows)
    for program in demo:
        row = rows[program]
        assert blanks(row) == [], row
        assert bool(row.get("opens_time")) == (row["state"] == "OFFER_STATE_SOON")
        for name in ("title", "performers", "city", "venue_name", "category"):
            assert not other_scripts(row[name], language), (name, row[name])
        assert row["first_local_date"] <= row["last_local_date"]
        assert int(row["cheapest_price"]["amount_minor"]) > 0
    assert {"OFFER_STATE_SOON", "OFFER_STATE_ON_SALE"} <= {rows[program]["state"] for program in demo}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_programme_show_and_plan(nobody, demo, language):
    speaker = nobody.speaking(language)
    for program, written in demo.items():
        answer = speaker.get(f"/v1/programs/{program}")
        shown = answer["program"]
        listed = [show for show in written["shows"] if not show.get("unlisted")]
        assert set(blanks(answer)) <= {"program.group_stops"}, blanks(answer)
        assert bool(shown["group_stops"]) == any(p is not written and written.get("group") == p.get("group") is not None for p in DEMO["programs"])
        assert len(shown["shows"]) == len(listed)
        assert all(not other_scripts(text, language) for name, text in shown["texts"].items() if name in ("notice", "refund_rule", "real_name_rule", "child_rule", "delivery"))
        for row in shown["shows"]:
            answer = speaker.get(f"/v1/shows/{row['show_id']}")
            show = answer["show"]
            assert blanks(answer) == [], row
            assert (show["local_start"], show["time_zone"], show["state"]) == (row["local_start"], row["time_zone"], row["state"])
            assert moment(show["local_start"]) == moment(show["start_time"])

            plan = speaker.get(show["seat_plan_path"])
            places = [run["count"] for section in plan["sections"] for seats in section["rows"] for run in seats["runs"] if "place_no" in run]  # others are not on sale
            assert (plan["show_id"], plan["version"]) == (show["show_id"], show["version"])
            assert sum(places) + sum(t["capacity"] for t in plan["tiers"] if t["kind"] == "STANDING") == sum(t["capacity"] for t in plan["tiers"])
            assert all(t["color"] and int(t["price_minor"]) > 0 and t["name"][language] for t in plan["tiers"])

            availability = speaker.get(f"/v1/shows/{row['show_id']}/availability")
            assert [(t["tier"], t["capacity"]) for t in availability["tiers"]] == [(t["tier"], t["capacity"]) for t in show["tiers"]]


def test_the_demo_catalogue_again_changes_nothing(operator, demo):
    again = operator.call("POST", "/v1/admin/imports", DEMO)["objects"]
    assert {o["outcome"] for o in again} == {"OUTCOME_UNCHANGED"}


def test_the_states_that_a_list_shows(operator, nobody, buyers):
    """On sale, all held just now, on sale again, sold out; and ended, beside a show that goes on."""
    buyer, other = buyers(2)
    document = catalogue(new_ref(), rows=1, seats=2)
    city = document["venues"][0]["city"]["en"]
    show = next(o["id"] for o in operator.call("POST", "/v1/admin/imports", document)["objects"] if o["kind"] == "show")
    await_inventory(nobody, show)

    def state():
        row, = nobody.get("/v1/programs", params={"city": city})["programs"]
        return row["state"].removeprefix("OFFER_STATE_")

    until(lambda: state() == "ON_SALE", what="on sale")
    held = buyer.best(show, 2)
    until(lambda: state() == "NONE_FREE_NOW", what="all places held")
    buyer.post(f"/v1/orders/{held['order_no']}:cancel")
    until(lambda: state() == "ON_SALE", what="free again")
    other.buy(show, choices=[{"tier": 1, "count": 2}])
    until(lambda: state() == "SOLD_OUT", what="sold out")

    over = catalogue(new_ref(), show={"start": "now-3h", "opens": "now-5h", "closes": "now+1s", "end": "now+1s"})
    objects = operator.call("POST", "/v1/admin/imports", over)["objects"]
    ended = next(o["id"] for o in objects if o["kind"] == "show")
    until(lambda: nobody.get(f"/v1/shows/{ended}")["show"]["state"] == "OFFER_STATE_ENDED", what="ended")


def test_a_wrong_password_is_counted_by_name_and_address(nobody, database):
    """The service hears from the gateway from where a call came."""
    counts = "SELECT count(*), coalesce(sum(failures), 0) FROM login_guard WHERE forget_at < now() + interval '1 hour'"  # of addresses: names are kept longer
    names, failures = database("user").execute("SELECT count(*) FROM login_guard").fetchone()[0], database("user").execute(counts).fetchone()[1]
    response = nobody.request("POST", "/v1/sessions", {"login": f"{secrets.token_hex(8)}@buyer.example", "password": new_key()})
    assert (response.status_code, response.json()["reason"]) == (401, "CREDENTIALS_WRONG")
    assert database("user").execute("SELECT count(*) FROM login_guard").fetchone()[0] > names
    assert database("user").execute(counts).fetchone()[1] == failures + 1
