"""What organisers and operators do: bring a file in, publish, change a price, pause, resume, withdraw."""

import collections
import copy
import json
import pathlib
import subprocess
import threading
import time

import pytest

from api import Background, Refused, moment, new_key, places, until, volley
from conftest import BIN, GATEWAY, HOME, await_inventory, catalogue, new_ref

ABROAD = (pathlib.Path(__file__).parent / "abroad.json").read_text()


def abroad(ref=None):
    """An organiser's file that the code has not seen: two seated tiers and a standing one, another time zone, two languages."""
    start = time.gmtime(time.time() + 20 * 86400)
    text = ABROAD.replace("REF", ref or new_ref()).replace("START", time.strftime("%Y-%m-%dT20:00", start)).replace("END", time.strftime("%Y-%m-%dT23:30", start))
    return json.loads(text)


def import_document(operator, document):
    objects = operator.call("POST", "/v1/admin/imports", document)["objects"]
    return {(o["kind"], o["ref"]): o for o in objects}


def outcomes(objects):
    return collections.Counter(o["outcome"].removeprefix("OUTCOME_") for o in objects.values())


# ---- import ----


def test_a_file_never_seen_before_is_on_sale_and_sells(operator, nobody, buyers):
    buyer, other = buyers(2)
    started = time.monotonic()
    document = abroad()
    objects = import_document(operator, document)
    assert outcomes(objects) == {"CREATED": 5}
    show = objects["show", "night-1"]["id"]
    availability = await_inventory(nobody, show)
    assert {t["tier"]: (t["capacity"], t["free"], t["blocked"]) for t in availability["tiers"]} == {1: (40, 38, 2), 2: (10, 10, 0), 3: (60, 50, 10)}

    answer = nobody.get(f"/v1/shows/{show}")["show"]
    assert (answer["time_zone"], answer["venue_name"], answer["state"]) == ("America/New_York", "Riverside Ballroom", "OFFER_STATE_ON_SALE")
    assert answer["local_start"][:16] == document["programs"][0]["shows"][0]["start"] and answer["local_start"][-6:] in ("-05:00", "-04:00")
    assert moment(answer["local_start"]) == moment(answer["start_time"])
    assert [(t["name"], t["kind"], t["price"], t["capacity"]) for t in answer["tiers"]] == [
        ("Orchestra", "TIER_KIND_SEATED", {"currency": "USD", "amount_minor": "12950"}, 40),
        ("Loge", "TIER_KIND_SEATED", {"currency": "USD", "amount_minor": "8000"}, 10),
        ("Standing", "TIER_KIND_STANDING", {"currency": "USD", "amount_minor": "4000"}, 60),
    ]
    chinese = nobody.speaking("zh-CN").get(f"/v1/shows/{show}")["show"]
    assert (chinese["title"], chinese["tiers"][2]["name"], chinese["venue_name"]) == ("冬季晚会", "站票", "河畔舞厅")
    assert chinese["texts"]["notice"] == "七点开门。" and chinese["texts"]["refund_rule"] == "No refunds after the doors open."
    listed, = nobody.get("/v1/programs", params={"city": document["venues"][0]["city"]["en"]})["programs"]
    assert listed["program_id"] == objects["program", "gala"]["id"] and listed["cheapest_price"]["amount_minor"] == "4000"

    order = buyer.buy(show, choices=[{"tier": 3, "count": 3}, {"tier": 1, "count": 4}, {"tier": 2, "count": 2}])
    assert collections.Counter(t["tier"] for t in order["tickets"]) == {1: 4, 2: 2, 3: 3}
    assert (order["total_minor"], order["currency"]) == (str(3 * 4000 + 4 * 12950 + 2 * 8000), "USD")
    words = {t["place_text"] for t in order["tickets"]}
    assert len(words) == 9 and all(t["entrance"] for t in order["tickets"])
    assert {t["section"] for t in order["tickets"]} == {"Orchestra", "Loge", "Dance floor"}
    loge = [int(t["seat"]) for t in order["tickets"] if t["tier"] == 2]
    assert loge[1] - loge[0] == 1 and 101 <= loge[0] < 105
    assert time.monotonic() - started < 60, "on sale within a minute"

    plan = nobody.request("GET", answer["seat_plan_path"]).json()
    labels = {row["row"]: [label for run in row["runs"] for label in labels_of(run)] for row in plan["sections"][0]["rows"]}
    assert labels["A"] == ["7", "5", "3", "1", "2", "4", "6", "8"]
    assert [len(row["runs"]) > 1 for row in plan["sections"][0]["rows"]] == [True] * 4  # the aisle
    blocked = [run["place_no"] + labels_of(run).index(seat) for run in plan["sections"][0]["rows"][0]["runs"] for seat in "12" if seat in labels_of(run)]
    assert len(blocked) == 2
    with pytest.raises(Refused) as refused:
        other.order(show, place_nos=blocked)
    assert refused.value.reason == "PLACES_TAKEN"
    chosen = places(nobody.get(f"/v1/shows/{show}/availability"))[-2:]
    assert [t["tier"] for t in other.buy(show, place_nos=chosen)["tickets"]] == [3, 3]


def labels_of(run):
    return run.get("labels") or [str(run["label_first"] + i * run.get("label_step", 1)) for i in range(run["count"])]


def test_the_same_file_again_changes_nothing(operator, nobody):
    document = abroad()
    first = import_document(operator, document)
    show = first["show", "night-1"]["id"]
    version = nobody.get(f"/v1/shows/{show}")["show"]["version"]
    for again in (document, json.loads(json.dumps(document, sort_keys=True))):  # the order of members says nothing
        second = import_document(operator, again)
        assert outcomes(second) == {"UNCHANGED": 5}
        assert {k: o["id"] for k, o in second.items()} == {k: o["id"] for k, o in first.items()}
    assert nobody.get(f"/v1/shows/{show}")["show"]["version"] == version == 1
    assert operator.post(f"/v1/admin/shows/{show}:publish") == {"show_id": show, "version": 1, "changed": False}


def test_the_same_file_twenty_times_at_once_is_stored_once(operator, nobody):
    document = abroad()
    answers = volley([operator.prepared("POST", "/v1/admin/imports", document) for _ in range(20)])
    assert [a.reason for a in answers] == [None] * 20
    assert len({json.dumps(sorted((o["kind"], o["id"]) for o in a.body["objects"])) for a in answers}) == 1
    assert sorted(sum(o["outcome"] == "OUTCOME_CREATED" for o in a.body["objects"]) for a in answers) == [0] * 19 + [5]
    assert len(nobody.get("/v1/programs", params={"city": document["venues"][0]["city"]["en"]})["programs"]) == 1


def abroad_open(ref=None):
    """The same file with its plan as pretix and its editors write it, with an aisle and a row of two categories."""
    document = abroad(ref)

    def seat(n, x, category):
        return {"seat_guid": f"s-{n}", "seat_number": str(n), "position": {"x": x, "y": 0}, "category": category}

    rows = [
        {"row_number": "1", "position": {"x": 0, "y": 0}, "seats": [seat(n, 25 * n + (60 if n > 4 else 0), "orchestra") for n in range(1, 9)]},
        {"row_number": "2", "position": {"x": 0, "y": 30}, "seats": [seat(n, 25 * (n - 10), "orchestra" if n < 15 else "loge") for n in range(11, 21)]},
    ]
    document["plans"][0] = {
        "ref": "open", "venue": "ballroom", "areas": document["plans"][0]["areas"],
        "zones": {"Z1": {"name": {"en": "House", "zh-CN": "场内"}, "entrance": "Lobby"}},
        "seating_plan": {
            "name": "House", "size": {"width": 600, "height": 400}, "categories": [{"name": "orchestra", "color": "#aa0000"}, {"name": "loge", "color": "#00aa00"}],
            "zones": [{"name": "House", "zone_id": "Z1", "position": {"x": 20, "y": 50}, "rows": rows, "areas": []}],
        },
    }  # fmt: skip
    document["programs"][0]["shows"][0].update(plan="open", blocked=[{"guids": ["s-1"]}])
    return document


def test_the_open_seating_plan_form(operator, nobody, buyers):
    buyer, = buyers(1)
    objects = import_document(operator, abroad_open())
    show = objects["show", "night-1"]["id"]
    availability = await_inventory(nobody, show)
    assert [(t["capacity"], t["blocked"]) for t in availability["tiers"]] == [(12, 1), (6, 0), (60, 0)]
    with pytest.raises(Refused) as refused:  # four and four with an aisle between, and four in the row behind
        buyer.best(show, 5, tier=1)
    assert refused.value.reason == "NO_ADJACENT"
    order = buyer.buy(show, 4, tier=1)
    assert order["adjacent"] is True and {t["section"] for t in order["tickets"]} == {"House"}


def edit(*steps):
    """A change of the file: each step is (path, value); a value of None takes the member away, "+" in a path appends."""

    def apply(document):
        for path, value in steps:
            *way, last = [int(p) if p.isdigit() else p for p in path.strip("/").split("/")]
            target = document
            for name in way:
                target = target[name]
            if value is None:
                del target[last]
            elif last == "+":
                target.append(value)
            else:
                target[last] = value
        return document

    return apply


def copy_of(path, **change):
    def apply(document):
        target = document
        for name in path.strip("/").split("/"):
            target = target[int(name) if name.isdigit() else name]
        target.append({**copy.deepcopy(target[0]), **change})
        return document

    return apply


SHOW = "/programs/0/shows/0"
FAULTY = {
    "another format": (edit(("/format", "ticketflow-catalogue/9")), "/format"),
    "an unknown member": (edit(("/promoters", [])), "/promoters"),
    "an organiser without a name": (edit(("/organisers/0/name", None)), "/organisers/0/name"),
    "a time zone that is none": (edit(("/venues/0/time_zone", "America/Gotham")), "/venues/0/time_zone"),
    "a venue without an address": (edit(("/venues/0/address", None)), "/venues/0/address"),
    "a city that is a number": (edit(("/venues/0/city", 7)), "/venues/0/city"),
    "an empty translation": (edit(("/venues/0/name/en", "")), "/venues/0/name/en"),
    "a plan of an unknown venue": (edit(("/plans/0/venue", "ballroom-2")), "/plans/0/venue"),
    "rows that run backwards": (edit(("/plans/0/sections/0/rows", "D-A")), "/plans/0/sections/0/rows"),
    "more counts than rows": (edit(("/plans/0/sections/0/seats_per_row", [8, 10, 10, 12, 12])), "/plans/0/sections/0/seats_per_row"),
    "rows without seats": (edit(("/plans/0/sections/1/seats_per_row", 0)), "/plans/0/sections/1/seats_per_row"),
    "a numbering of one's own": (edit(("/plans/0/sections/0/numbering", "roman")), "/plans/0/sections/0/numbering"),
    "an area for nobody": (edit(("/plans/0/areas/0/capacity", 0)), "/plans/0/areas/0/capacity"),
    "an area named like a section": (edit(("/plans/0/areas/0/area", "Loge")), "/plans/0/areas/0/area"),
    "a note on a row that is not there": (edit(("/plans/0/notes/0/rows", "Q")), "/plans/0/notes/0/rows"),
    "too many places": (edit(("/plans/0/areas/0/capacity", 100000)), "/plans/0"),
    "two venues of one ref": (copy_of("/venues"), "/venues/1/ref"),
    "a programme without a title": (edit(("/programs/0/title", None)), "/programs/0/title"),
    "a picture of a scheme that runs": (edit(("/programs/0/picture", "javascript:alert(1)")), "/programs/0/picture"),
    "an unknown text": (edit(("/programs/0/texts/secret", "x")), "/programs/0/texts/secret"),
    "a show of an unknown plan": (edit((f"{SHOW}/plan", "garden")), f"{SHOW}/plan"),
    "two shows of one ref": (copy_of("/programs/0/shows"), "/programs/0/shows/1/ref"),
    "a day that is not in the calendar": (edit((f"{SHOW}/start", "2027-02-30T20:00")), f"{SHOW}/start"),
    "a wall time that the clock skips": (edit((f"{SHOW}/opens", "2027-03-14T02:30")), f"{SHOW}/opens"),
    "an end before the start": (edit((f"{SHOW}/end", "2026-01-01T00:00")), f"{SHOW}/end"),
    "a hold too short": (edit((f"{SHOW}/hold_seconds", 1)), f"{SHOW}/hold_seconds"),
    "more an order than an account": (edit((f"{SHOW}/account_limit", 3)), f"{SHOW}/order_limit"),
    "an unknown attendee rule": (edit((f"{SHOW}/attendee_rule", "PASSPORT")), f"{SHOW}/attendee_rule"),
    "publish that is a word": (edit((f"{SHOW}/publish", "yes")), f"{SHOW}/publish"),
    "a tier without a price": (edit((f"{SHOW}/tiers/2/price", None)), f"{SHOW}/tiers/2/price"),
    "a price below zero": (edit((f"{SHOW}/tiers/2/price", -40)), f"{SHOW}/tiers/2/price"),
    "half a cent": (edit((f"{SHOW}/tiers/0/price/fee", "9.505")), f"{SHOW}/tiers/0/price/fee"),
    "a discount that costs": (edit((f"{SHOW}/tiers/1/price/discount", 5)), f"{SHOW}/tiers/1/price/discount"),
    "two currencies": (edit((f"{SHOW}/tiers/1/currency", "CNY")), f"{SHOW}/tiers/1/currency"),
    "two tiers of one ref": (edit((f"{SHOW}/tiers/1/ref", "orchestra")), f"{SHOW}/tiers/1/ref"),
    "places of no tier": (edit((f"{SHOW}/tiers/2", None)), f"{SHOW}/tiers"),
    "a blocked seat that is not there": (edit((f"{SHOW}/blocked/0/seats", ["1", "99"])), f"{SHOW}/blocked/0/seats/1"),
    "more blocked than there is": (edit((f"{SHOW}/blocked/1/count", 61)), f"{SHOW}/blocked/1"),
}


PLAN = "/plans/0/seating_plan"
ROW = f"{PLAN}/zones/0/rows/0"
FAULTY_OPEN = {
    "no name": (edit((f"{PLAN}/name", None)), f"{PLAN}/name"),
    "no size": (edit((f"{PLAN}/size", None)), f"{PLAN}/size"),
    "half a pixel": (edit((f"{PLAN}/size/width", 600.5)), f"{PLAN}/size/width"),
    "an absurd size": (edit((f"{PLAN}/size/height", 10**9)), f"{PLAN}/size/height"),
    "a member of one's own": (edit((f"{PLAN}/version", 1)), f"{PLAN}/version"),
    "categories that are an object": (edit((f"{PLAN}/categories", {})), f"{PLAN}/categories"),
    "a category twice": (copy_of(f"{PLAN}/categories"), f"{PLAN}/categories/2/name"),
    "a category without a name": (edit((f"{PLAN}/categories/1/name", None)), f"{PLAN}/categories/1/name"),
    "a color in words": (edit((f"{PLAN}/categories/0/color", "red")), f"{PLAN}/categories/0/color"),
    "a zone without a position": (edit((f"{PLAN}/zones/0/position", None)), f"{PLAN}/zones/0/position"),
    "a zone without rows": (edit((f"{PLAN}/zones/0/rows", None)), f"{PLAN}/zones/0/rows"),
    "a zone twice": (copy_of(f"{PLAN}/zones"), f"{PLAN}/zones/1/zone_id"),
    "a row without a number": (edit((f"{ROW}/row_number", None)), f"{ROW}/row_number"),
    "a row number that is no string": (edit((f"{ROW}/row_number", 1)), f"{ROW}/row_number"),
    "a row numbered in the middle": (edit((f"{ROW}/row_number_position", "middle")), f"{ROW}/row_number_position"),
    "a seat guid twice": (edit((f"{ROW}/seats/3/seat_guid", "s-1")), f"{ROW}/seats/3/seat_guid"),
    "a seat guid with a blank": (edit((f"{ROW}/seats/3/seat_guid", "s-4 ")), f"{ROW}/seats/3/seat_guid"),
    "a seat of no category": (edit((f"{ROW}/seats/0/category", "royal")), f"{ROW}/seats/0/category"),
    "a seat without a number": (edit((f"{ROW}/seats/0/seat_number", None)), f"{ROW}/seats/0/seat_number"),
    "a seat filled from above": (edit((f"{ROW}/seats/0/start_direction", "^")), f"{ROW}/seats/0/start_direction"),
    "a seat of no size": (edit((f"{ROW}/seats/0/radius", 0)), f"{ROW}/seats/0/radius"),
    "a seat that is nowhere": (edit((f"{ROW}/seats/0/position/x", "left")), f"{ROW}/seats/0/position/x"),
    "a seat out of this world": (edit((f"{ROW}/seats/0/position/y", 1e300)), f"{ROW}/seats/0/position/y"),
    "a shape that nobody draws": (edit((f"{PLAN}/zones/0/areas/+", {"shape": "star", "position": {"x": 0, "y": 0}})), f"{PLAN}/zones/0/areas/0/shape"),
    "a circle without a radius": (edit((f"{PLAN}/zones/0/areas/+", {"shape": "circle", "circle": {}, "position": {"x": 0, "y": 0}})), f"{PLAN}/zones/0/areas/0/circle/radius"),
    "a polygon of two points": (
        edit((f"{PLAN}/zones/0/areas/+", {"shape": "polygon", "polygon": {"points": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}, "position": {"x": 0, "y": 0}})),
        f"{PLAN}/zones/0/areas/0/polygon/points",
    ),
    "a turn that is none": (
        edit((f"{PLAN}/zones/0/areas/+", {"shape": "circle", "circle": {"radius": 1}, "position": {"x": 0, "y": 0}, "rotation": 1000})),
        f"{PLAN}/zones/0/areas/0/rotation",
    ),
    "words for a zone that is not there": (edit(("/plans/0/zones/Z2", {"entrance": "Lobby"})), "/plans/0/zones/Z2"),
    "a blocked guid that is not there": (edit((f"{SHOW}/blocked/0/guids", ["s-1", "s-99"])), f"{SHOW}/blocked/0/guids/1"),
}


def stored(database):
    rows = {table: database("program").execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("organiser", "venue", "plan", "program", "show", "publication")}
    return rows | {"outbox": database("program").execute("SELECT count(*) FROM outbox WHERE topic = 'show'").fetchone()[0]}


@pytest.mark.parametrize(("make", "break_it", "pointer"), [(abroad, *f) for f in FAULTY.values()] + [(abroad_open, *f) for f in FAULTY_OPEN.values()], ids=[*FAULTY, *FAULTY_OPEN])
def test_a_faulty_file_is_refused_by_pointer_and_nothing_is_stored(operator, database, make, break_it, pointer):
    before = stored(database)
    with pytest.raises(Refused) as refused:
        import_document(operator, break_it(make("faulty")))
    problem = refused.value.problem
    assert (refused.value.status, refused.value.reason) == (400, "FIELD_INVALID")
    assert problem["field"] == pointer, problem
    assert problem["detail"] and problem["faults"].startswith(pointer)
    assert stored(database) == before


def contents(database, ref):
    """What is stored of an organiser, besides what order says of its shows."""
    owner = "organiser_id = (SELECT organiser_id FROM organiser WHERE ref = %s)"
    kept = {"organiser": "t", "venue": "t", "plan": "t", "program": "t", "show": "(t.ref, t.digest, t.version)"}
    return {
        table: database("program").execute(f"SELECT md5(coalesce(string_agg({row}::text, '' ORDER BY t.ref), '')) FROM {table} t WHERE t.{owner}", [ref]).fetchone()[0]
        for table, row in kept.items()
    }  # fmt: skip


def test_a_rehearsal_tells_what_an_import_would_do(operator, nobody, database):
    ref = new_ref()
    document, rehearsal = abroad(ref), {"validate_only": "true"}
    city = document["venues"][0]["city"]["en"]
    before = stored(database)

    def rehearse(document):
        return {o["kind"]: (o["outcome"].removeprefix("OUTCOME_"), o["id"]) for o in operator.call("POST", "/v1/admin/imports", document, params=rehearsal)["objects"]}

    assert set(rehearse(document).values()) == {("CREATED", "0")}
    assert stored(database) == before and nobody.get("/v1/programs", params={"city": city})["programs"] == []
    with pytest.raises(Refused) as refused:
        operator.call("POST", "/v1/admin/imports", edit((f"{SHOW}/plan", "garden"))(abroad(ref)), params=rehearsal)
    assert refused.value.problem["field"] == f"{SHOW}/plan"

    objects = import_document(operator, document)
    kept = contents(database, ref)
    told = rehearse(edit(("/programs/0/title/en", "Summer Gala"), (f"{SHOW}/tiers/2/price", 45))(document))
    assert {kind: outcome for kind, (outcome, _) in told.items()} == {"organiser": "UNCHANGED", "venue": "UNCHANGED", "plan": "UNCHANGED", "program": "CHANGED", "show": "CHANGED"}
    assert told["show"][1] == objects["show", "night-1"]["id"]
    assert contents(database, ref) == kept
    with pytest.raises(Refused) as refused:  # what only the stored show forbids
        operator.call("POST", "/v1/admin/imports", edit((f"{SHOW}/currency", "EUR"))(abroad(ref)), params=rehearsal)
    assert refused.value.problem["field"] == f"{SHOW}/currency"


def test_a_faulty_change_of_a_stored_file_changes_nothing(operator, nobody, database):
    """Each object of the file differs from the stored one, and only the last has a fault: what came before it is rolled back."""
    ref = new_ref()
    show = import_document(operator, abroad(ref))["show", "night-1"]["id"]
    before, page = contents(database, ref), nobody.get(f"/v1/shows/{show}")["show"]
    change = edit(("/organisers/0/name/en", "Others"), ("/venues/0/address/en", "1 Elsewhere"), ("/programs/0/title/en", "Summer Gala"), (f"{SHOW}/order_limit", 5))
    for way, pointer in (((f"{SHOW}/plan", "garden"), f"{SHOW}/plan"), ((f"{SHOW}/currency", "EUR"), f"{SHOW}/currency"), ((f"{SHOW}/blocked", []), f"{SHOW}/tiers")):
        with pytest.raises(Refused) as refused:
            import_document(operator, edit(way)(change(abroad(ref))))
        assert refused.value.problem["field"] == pointer
        assert contents(database, ref) == before
        assert nobody.get(f"/v1/shows/{show}")["show"] == page
    assert outcomes(import_document(operator, change(abroad(ref)))) == {"CHANGED": 4, "UNCHANGED": 1}
    assert contents(database, ref) != before


def test_shows_in_winter_and_in_summer(operator, nobody):
    """New York changes its clocks: each local time has the offset of its day."""
    year = time.gmtime().tm_year + 1
    document = abroad()
    first, = document["programs"][0]["shows"]
    days = {f"{year}-01-15T20:00": "-05:00", f"{year}-07-15T20:00": "-04:00", f"{year}-11-29T20:00": "-05:00"}
    document["programs"][0]["shows"] = [
        {**first, "ref": f"day-{i}", "start": start, "end": start[:11] + "23:00", "opens": "now-1h"} for i, start in enumerate(days)
    ]  # fmt: skip
    objects = import_document(operator, document)
    for i, (start, offset) in enumerate(days.items()):
        show = nobody.get(f"/v1/shows/{objects['show', f'day-{i}']['id']}")["show"]
        assert show["local_start"] == f"{start}:00{offset}" and moment(show["local_start"]) == moment(show["start_time"])
        assert show["time_zone"] == "America/New_York"


def test_all_faults_are_told_at_once(operator):
    document = abroad("faulty")
    for name in ("a time zone that is none", "an area for nobody", "half a cent"):
        FAULTY[name][0](document)
    with pytest.raises(Refused) as refused:
        import_document(operator, document)
    told = [line.split(" ", 1)[0].rstrip(":") for line in refused.value.problem["faults"].splitlines()]
    assert told == ["/venues/0/time_zone", "/plans/0/areas/0/capacity", f"{SHOW}/tiers/0/price/fee"]


def test_a_good_object_beside_a_faulty_one_is_not_stored(operator, nobody, database):
    before = stored(database)
    document = abroad()
    document["programs"].append({**copy.deepcopy(document["programs"][0]), "ref": "second", "title": {"en": ""}})
    with pytest.raises(Refused) as refused:
        import_document(operator, document)
    assert refused.value.problem["field"] == "/programs/1/title/en"
    assert stored(database) == before
    assert nobody.get("/v1/programs", params={"city": document["venues"][0]["city"]["en"]})["programs"] == []
    document["programs"].pop()
    assert outcomes(import_document(operator, document)) == {"CREATED": 5}


def test_what_is_no_document_at_all(operator, buyers, nobody, database):
    before = stored(database)
    for content in (b"", b"{", b"[]", b"null", b'{"format": "ticketflow-catalogue/1", "format": "x"}', "{\"format\": \"\udcff\"}".encode("utf-8", "surrogateescape"), b"[" * 5000):
        response = operator.request("POST", "/v1/admin/imports", content=content, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["reason"]) == (400, "FIELD_INVALID"), content
    for who, reason in ((nobody, "UNAUTHENTICATED"), (buyers(1)[0], "FORBIDDEN")):
        with pytest.raises(Refused) as refused:
            import_document(who, abroad())
        assert refused.value.reason == reason
    assert stored(database) == before


def test_the_command_imports_a_file(nobody, tmp_path):
    """What ./ticketflow import FILE runs."""
    document = abroad()
    file = tmp_path / "gala.json"
    file.write_text(json.dumps(document))
    command = [str(BIN / "tf-story"), "import", str(file), "--gateway", GATEWAY, "--secrets", str(HOME / "secrets")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(nobody.get("/v1/programs", params={"city": document["venues"][0]["city"]["en"]})["programs"]) == 1

    file.write_text(json.dumps(FAULTY["half a cent"][0](abroad())))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and FAULTY["half a cent"][1] in done.stdout + done.stderr


# ---- publication, prices ----


def test_a_show_that_is_not_published_does_not_exist(operator, nobody, buyers):
    buyer, = buyers(1)
    document = catalogue(new_ref(), show={"publish": False})
    objects = operator.call("POST", "/v1/admin/imports", document)["objects"]
    show, program = (next(o["id"] for o in objects if o["kind"] == kind) for kind in ("show", "program"))
    city = document["venues"][0]["city"]["en"]
    for path in (f"/v1/shows/{show}", f"/v1/shows/{show}/availability", f"/v1/shows/{show}/seat-plan", f"/v1/programs/{program}"):
        with pytest.raises(Refused) as refused:
            nobody.get(path)
        assert refused.value.reason == "NOT_FOUND", path
    with pytest.raises(Refused) as refused:
        buyer.best(show)
    assert refused.value.reason == "NOT_FOUND"
    assert nobody.get("/v1/programs", params={"city": city})["programs"] == []

    assert operator.post(f"/v1/admin/shows/{show}:publish") == {"show_id": show, "version": 1, "changed": True}
    assert operator.post(f"/v1/admin/shows/{show}:publish") == {"show_id": show, "version": 1, "changed": False}
    await_inventory(nobody, show)
    assert nobody.get("/v1/programs", params={"city": city})["programs"][0]["program_id"] == program
    buyer.buy(show)


def test_an_unlisted_show_is_found_by_its_id_only(operator, nobody, buyers, new_show):
    buyer, = buyers(1)
    document = catalogue(new_ref(), show={"unlisted": True})
    show, = new_show.many(document)
    assert nobody.get("/v1/programs", params={"city": document["venues"][0]["city"]["en"]})["programs"] == []
    assert nobody.get(f"/v1/shows/{show}")["show"]["show_id"] == show
    buyer.buy(show)


def test_a_new_price_is_for_new_orders_only(operator, buyers, nobody):
    """Orders before the change keep their price, also those that pay after it; nobody pays a mixture while buyers keep coming."""
    before, after, *crowd = buyers(42)
    document = catalogue(new_ref(), rows=20, seats=50, show={"one_pending_order": False, "account_limit": 1000})
    show = next(o["id"] for o in operator.call("POST", "/v1/admin/imports", document)["objects"] if o["kind"] == "show")
    await_inventory(nobody, show)
    old = before.best(show, 2)
    document["programs"][0]["shows"][0]["tiers"][0]["price"] = {"face": 120, "fee": 3}

    totals, lock = collections.Counter(), threading.Lock()

    def order_one():
        with lock:
            b = crowd.pop()
        try:
            answer, = volley([b.prepared_order(show, choices=[{"tier": 1, "count": 1}])])
            assert answer.reason in (None, "REBUILDING"), answer
            if answer.status == 200:
                totals[answer.order["total_minor"], sum(int(line["amount_minor"]) for line in answer.order["tickets"][0]["price_lines"])] += 1
        finally:
            with lock:
                crowd.append(b)

    with Background(order_one, threads=3):
        objects = {o["kind"]: o for o in operator.call("POST", "/v1/admin/imports", document)["objects"]}
        assert objects["show"]["outcome"] == "OUTCOME_CHANGED"
        until(lambda: totals["12300", 12300] >= 5, what="orders at the new price")
    assert set(totals) <= {("10000", 10000), ("12300", 12300)}, totals

    assert nobody.get(f"/v1/shows/{show}")["show"]["version"] == 2
    assert nobody.get(f"/v1/shows/{show}")["show"]["tiers"][0]["price"]["amount_minor"] == "12300"
    assert after.buy(show)["total_minor"] == "12300"
    old = before.paid(old)
    assert old["total_minor"] == "20000" and old["payments"][0]["amount_minor"] == "20000"
    assert old["tickets"][0]["price_lines"] == [{"kind": "PRICE_KIND_FACE", "amount_minor": "10000"}]


def test_the_map_of_a_published_show_stays(operator, nobody, new_show):
    document = catalogue(new_ref())
    show, = new_show.many(document)
    document["plans"][0]["sections"][0]["seats_per_row"] = 12
    with pytest.raises(Refused) as refused:
        operator.call("POST", "/v1/admin/imports", document)
    assert (refused.value.reason, refused.value.problem["field"]) == ("FIELD_INVALID", "/plans/0")
    assert nobody.get(f"/v1/shows/{show}")["show"]["tiers"][0]["capacity"] == 40


# ---- pause, resume, withdraw ----


def change(operator, show, verb):
    return operator.post(f"/v1/admin/shows/{show}:{verb}")["sale_state"]


def test_pause_stops_new_holds_within_a_second_and_pending_orders_pay(operator, buyers, new_show, nobody):
    pending, knocking, *crowd = buyers(22)
    show = new_show(rows=20, seats=50, one_pending_order=False, account_limit=1000)
    order = pending.best(show, 2)
    payment = pending.pay(order["order_no"])
    seen, lock = [], threading.Lock()

    def order_one():
        with lock:
            b = crowd.pop()
        answer, = volley([b.prepared_order(show, choices=[{"tier": 1, "count": 1}])])
        with lock:
            crowd.append(b)
            seen.append(answer)

    with Background(order_one, threads=3):
        until(lambda: sum(a.status == 200 for a in seen) >= 10, what="orders before the pause")
        assert change(operator, show, "pause") == "SALE_STATE_PAUSED"
        paused = time.time()
        time.sleep(1.2)
        with lock:
            told = len(seen)
        until(lambda: len(seen) >= told + 20, what="answers after the pause")
    assert {a.reason for a in seen} == {None, "SALE_PAUSED"}
    made = [moment(a.order["create_time"]) for a in seen if a.status == 200]
    assert max(made) <= paused + 1, f"an order {max(made) - paused:.3f} s after the pause"
    assert {a.reason for a in seen[told:]} == {"SALE_PAUSED"}
    refused = seen[-1]
    assert refused.status == 409 and refused.body["retryable"] is True and int(refused.headers["retry-after"]) > 0

    availability = nobody.get(f"/v1/shows/{show}/availability")
    assert (availability["sale_state"], availability["state"]) == ("SALE_STATE_PAUSED", "OFFER_STATE_PAUSED")
    until(lambda: nobody.get(f"/v1/shows/{show}")["show"]["state"] == "OFFER_STATE_PAUSED", what="the show says that it is paused")
    assert pending.paid(order, payment)["money_state"] == "MONEY_STATE_PAID"

    key = new_key()
    with pytest.raises(Refused) as refused:
        knocking.best(show, key=key)
    assert refused.value.reason == "SALE_PAUSED"
    assert change(operator, show, "pause") == "SALE_STATE_PAUSED"
    assert change(operator, show, "resume") == "SALE_STATE_ON_SALE"
    assert change(operator, show, "resume") == "SALE_STATE_ON_SALE"
    knocking.paid(knocking.best(show, key=key))
    until(lambda: nobody.get(f"/v1/shows/{show}")["show"]["state"] == "OFFER_STATE_ON_SALE", what="the show says that it is on sale")


def test_a_hold_made_before_the_pause_may_still_start_to_pay(operator, buyers, new_show):
    buyer, = buyers(1)
    show = new_show()
    order = buyer.best(show)
    change(operator, show, "pause")
    assert buyer.paid(order)["state"] == "ORDER_STATE_PAID"


def test_a_pause_lasts_over_a_rebuild_of_the_terms(operator, buyers, nobody):
    """A new price while paused does not reopen the sale."""
    buyer, = buyers(1)
    document = catalogue(new_ref())
    show = next(o["id"] for o in operator.call("POST", "/v1/admin/imports", document)["objects"] if o["kind"] == "show")
    await_inventory(nobody, show)
    change(operator, show, "pause")
    document["programs"][0]["shows"][0]["tiers"][0]["price"] = 77
    operator.call("POST", "/v1/admin/imports", document)
    until(lambda: nobody.get(f"/v1/shows/{show}")["show"]["version"] == 2, what="the new version")
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        answer, = volley([buyer.prepared_order(show, choices=[{"tier": 1, "count": 1}])])
        assert answer.reason in ("SALE_PAUSED", "REBUILDING"), answer
        time.sleep(0.05)
    assert answer.reason == "SALE_PAUSED"
    change(operator, show, "resume")
    assert buyer.buy(show)["total_minor"] == "7700"


def test_withdraw_hides_the_show_for_ever_and_leaves_paid_orders_alone(operator, buyers, nobody, new_show):
    paid_by, pending_by, late = buyers(3)
    document = catalogue(new_ref())
    show, = new_show.many(document)
    city = document["venues"][0]["city"]["en"]
    program = nobody.get(f"/v1/shows/{show}")["show"]["program_id"]
    paid = paid_by.buy(show, 2)
    pending = pending_by.best(show)
    assert len(nobody.get("/v1/programs", params={"city": city})["programs"]) == 1

    assert change(operator, show, "withdraw") == "SALE_STATE_WITHDRAWN"
    until(lambda: nobody.get("/v1/programs", params={"city": city})["programs"] == [], what="the show hidden from the list")
    for path in (f"/v1/shows/{show}", f"/v1/programs/{program}"):
        with pytest.raises(Refused) as refused:
            nobody.get(path)
        assert refused.value.reason == "NOT_FOUND", path
    with pytest.raises(Refused) as refused:
        late.best(show)
    assert refused.value.reason == "SALE_ENDED"

    assert paid_by.get_order(paid["order_no"]) == paid
    assert pending_by.paid(pending)["state"] == "ORDER_STATE_PAID"
    ticket = paid_by.get(f"/v1/tickets/{paid['tickets'][0]['ticket_id']}")["ticket"]
    assert operator.post("/v1/admin/tickets:redeem", {"code": ticket["code"], "show_id": show})["ticket"]["state"] == "TICKET_STATE_USED"

    assert change(operator, show, "withdraw") == "SALE_STATE_WITHDRAWN"
    for verb in ("resume", "pause"):
        with pytest.raises(Refused) as refused:
            change(operator, show, verb)
        assert refused.value.reason == "STATE_WRONG"


@pytest.mark.parametrize("verb", ("publish", "pause", "resume", "withdraw"))
def test_only_operators_change_a_sale(operator, buyers, nobody, new_show, verb):
    buyer, = buyers(1)
    show = new_show()
    for who, status, reason in ((nobody, 401, "UNAUTHENTICATED"), (buyer, 403, "FORBIDDEN")):
        with pytest.raises(Refused) as refused:
            who.post(f"/v1/admin/shows/{show}:{verb}")
        assert (refused.value.status, refused.value.reason) == (status, reason)
    with pytest.raises(Refused) as refused:
        operator.post(f"/v1/admin/shows/4711:{verb}")
    assert (refused.value.status, refused.value.reason) == (404, "NOT_FOUND")
    buyer.best(show)
