"""Search and reports in the index give the same answers as the stream."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from security_common.audit import Action, EventType, Outcome
from security_common.audit.event_index import IndexUnavailable
from security_common.audit.event_index.index_reports import count_by_time, report_access, report_security
from security_common.audit.event_index.searchable_trail import SearchableTrail
from security_common.audit.reading import EventFilter, PagingTokenInvalid, each_event, read_events, security_report
from security_common.audit.reading.access_review import Month, review_access

pytestmark = pytest.mark.anyio

SEOUL = ZoneInfo("Asia/Seoul")

SPECIAL_EVENTS = [
    {"outcome": Outcome.REFUSED, "action_taken": "rejected", "reason": "insufficient_scope"},
    {"outcome": Outcome.FAILURE, "tool_name": None, "user_id": None, "client_id": None},
    {"contains_pii": True, "pii_kinds": {"EMAIL": 2, "PHONE": 1}, "source_address": "203.0.113.7"},
    {"task": "view", "subject_reference": "s_1", "source_address": "203.0.113.7"},
    {"task": "download", "reason": "monthly review", "subject_reference": None},
    {"client_id": "", "user_id": "u_\ud800", "tool_name": "이름"},
    {"event_type": EventType.SECURITY_ALERT, "outcome": Outcome.ALERT, "action_taken": Action.ALERTED},
    {"event_type": EventType.SECURITY_ALERT, "outcome": Outcome.ALERT, "action_taken": Action.ALERT_CONTINUES},
]

FILTERS = [
    EventFilter(),
    EventFilter(user_id="u_1"),
    EventFilter(user_id="u_1", issuer="https://issuer.example"),
    EventFilter(user_id="u_\ud800"),
    EventFilter(user_id="u_unknown"),
    EventFilter(client_id="mcp-client", tool_name="get_user_info", outcome=Outcome.REFUSED),
    EventFilter(client_id=""),
    EventFilter(event_type="security_alert"),
    EventFilter(task="download"),
    EventFilter(task="view", user_id="u_0"),
    EventFilter(until=datetime(2020, 1, 1, tzinfo=UTC)),
    EventFilter(since=datetime(2020, 1, 1, tzinfo=UTC), until=datetime(2100, 1, 1, tzinfo=UTC)),
]


@pytest.fixture
async def trail(redis, open_one, tool_call, fed):
    """Forty tool calls of two users and events of every kind, in the stream and in the index."""
    journal = await open_one(ships=True)
    for number in range(40):
        await journal.record(tool_call(number))
    for members in SPECIAL_EVENTS:
        await journal.record(replace(tool_call(), **members))
    await journal.stop()
    await fed()
    return redis


@pytest.mark.parametrize("criteria", FILTERS)
async def test_filters_find_the_same_events_as_in_the_stream(trail, reader, criteria):
    expected = [event async for event in each_event(trail, criteria)]
    assert list(reader.each(criteria)) == expected
    assert list(reader.page(criteria).events) == expected[::-1]
    assert reader.count(criteria) == len(expected)


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_contain_every_event_once(trail, reader, order):
    seen, token = [], None
    while True:
        page = reader.page(EventFilter(event_type="tool_call"), limit=5, after=token, order=order)
        seen += [event.seq for event in page.events]
        token = page.next_token
        if token is None:
            break
    stream = await read_events(trail, EventFilter(event_type="tool_call"), order=order)
    assert seen == [event.seq for event in stream.events]


async def test_an_event_is_found_by_its_entry_id(trail, reader):
    event = reader.page(limit=1).events[0]
    assert reader.find(event.entry_id) == event
    time, _, number = event.entry_id.partition("-")
    assert reader.find(f"{time}-{int(number) + 1}") == event  # its number is another one after a rebuild
    assert reader.find(f"{int(time) + 1}-{number}") is None


@pytest.mark.parametrize("token", ["", "0", "1-x", "1-1) --", "١-١", "-", "1" * 50 + "-0"])
async def test_an_invalid_paging_token_is_refused(trail, reader, token):
    with pytest.raises(PagingTokenInvalid):
        reader.page(after=token)
    with pytest.raises(PagingTokenInvalid):
        reader.find(token)


@pytest.mark.parametrize("criteria", [EventFilter(), FILTERS[1], FILTERS[4]])
async def test_the_report_has_the_figures_of_the_stream(trail, files, criteria):
    expected = await security_report(each_event(trail, criteria))
    assert report_security(files, criteria) == expected


@pytest.fixture
def small_slices(monkeypatch):
    """Reports read a few events at a time."""
    monkeypatch.setattr("security_common.audit.event_index.index_reader.SORTED_EVENTS", 7)


async def test_reports_of_many_events_are_read_in_parts(trail, files, reader, small_slices):
    assert report_security(files) == await security_report(each_event(trail))
    now = datetime.now(SEOUL)
    month = Month(now.year, now.month, SEOUL)
    expected = await review_access(each_event(trail), month)
    assert report_access(files, month).as_data() == expected.as_data()
    criteria = EventFilter(since=month.since, until=month.until)
    assert sum(each.count for each in count_by_time(files, criteria, parts=1)) == reader.count(criteria)


async def test_the_review_of_a_month_has_the_figures_of_the_stream(trail, files):
    now = datetime.now(SEOUL)
    month = Month(now.year, now.month, SEOUL)
    expected = await review_access(each_event(trail), month)
    review = report_access(files, month)
    assert review.as_data() == expected.as_data()
    assert review.accesses == 3
    assert [event.reason for event in review.downloads] == ["monthly review"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Seoul", "Asia/Kathmandu"])
async def test_unusual_hours_are_those_of_the_time_zone(trail, files, zone):
    now = datetime.now(ZoneInfo(zone))
    month = Month(now.year, now.month, ZoneInfo(zone))
    expected = await review_access(each_event(trail), month)
    assert report_access(files, month).as_data() == expected.as_data()


async def test_events_are_counted_in_parts_of_a_period(trail, files, reader):
    events = list(reader.each())
    criteria = EventFilter(since=events[0].timestamp, until=events[-1].timestamp + timedelta(microseconds=1))
    counts = count_by_time(files, criteria, parts=4)
    assert sum(each.count for each in counts) == len(events)
    assert {each.part for each in counts} <= {0, 1, 2, 3}
    refused = [each for each in counts if each.event.outcome is Outcome.REFUSED]
    assert [(each.event.reason, each.count) for each in refused] == [("insufficient_scope", 1)]
    with pytest.raises(ValueError, match="period"):
        count_by_time(files, EventFilter(), parts=4)


async def test_a_reader_of_a_damaged_index_requests_a_rebuild(files, reader):
    files.directory.mkdir(parents=True)
    files.next().write_bytes(b"x" * 8192)
    with pytest.raises(IndexUnavailable, match="damaged"):
        reader.page()
    assert files.take_rebuild_request()


async def test_the_index_is_readable_by_its_owner_only(trail, files):
    assert {path.stat().st_mode & 0o777 for path in files.directory.iterdir()} == {0o600}
    assert files.directory.stat().st_mode & 0o777 == 0o700


@pytest.fixture
async def searchable(redis, settings, files):
    trail = SearchableTrail(redis, settings, service=files.directory.parent.name)
    async with trail.running():
        yield trail


async def test_a_search_finds_what_is_in_the_stream(searchable, open_one, tool_call):
    journal = await open_one(ships=True)
    for number in range(3):
        await journal.record(tool_call(number))
    await journal.stop()
    assert len((await searchable.page()).events) == 4
    assert await searchable.count(EventFilter(user_id="u_0")) == 2
    assert [event.seq async for event in searchable.each(EventFilter(user_id="u_0"))] == [2, 4]
    assert (await searchable.security_report()).events == 4


async def test_at_its_end_it_has_the_last_events_of_the_stream(redis, settings, files, reader, open_one, tool_call):
    async with SearchableTrail(redis, settings, service=files.directory.parent.name).running():
        journal = await open_one(ships=True)
        await journal.record(tool_call())
        await journal.stop()
    assert reader.count() == 2


async def test_a_process_that_does_not_feed_the_index_reads_it(searchable, redis, settings, files, open_one, tool_call):
    await searchable.count()
    other = SearchableTrail(redis, settings, service=files.directory.parent.name)
    async with other.running():
        journal = await open_one(ships=True)
        await journal.record(tool_call())
        await journal.stop()
        assert len((await other.page()).events) == 2
        assert other.feed.position is None


async def test_the_state_says_since_when_the_index_is_complete(searchable, redis, open_one):
    journal = await open_one(ships=True)
    await journal.stop()
    assert await searchable.count() == 1
    state = await searchable.state()
    assert (state.intact, state.trimmed) == (True, False)
