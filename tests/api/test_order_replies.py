"""The hand-written JSON of an accepted order is what the schema promises, for every kind of order."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from api.doors import OrderReply
from api.order_replies import accepted, accepted_body
from api.order_terms import Terms
from api.schemas.orders import OrderAccepted
from api.series_facts import SeriesFact
from domain.events import SeriesListed
from matching.layout import FLAG_MARKET, FLAG_PRIMARY, Side, TimeInForce
from tests.domain.samples import FACTS

SERIES = SeriesFact(next(fact for fact in FACTS if isinstance(fact, SeriesListed)), code="EUR", exponent=2)
COUNTS = st.integers(0, 10**15)


@given(
    terms=st.builds(
        Terms,
        st.just(SERIES),
        price=st.integers(1, 10**12),
        lots=st.integers(1, 10**12),
        side=st.sampled_from([int(side) for side in Side]),
        tif=st.sampled_from([int(tif) for tif in TimeInForce]),
        flags=st.sampled_from([0, FLAG_PRIMARY, FLAG_MARKET]),
        client_order_id=st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,36}", fullmatch=True),
    ),
    result=st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, st.just(0), st.integers(0, 2**31 - 1)),
    position=st.integers(1, 10**15),
)
def test_it_reads_as_the_schema_says(terms: Terms, result: tuple[int, ...], position: int) -> None:
    text = accepted(terms, result, position)
    body = orjson.loads(text)
    assert OrderAccepted.model_validate(body).model_dump(mode="json") == body
    assert (body["command"], body["position"], body["fills"]) == (result[0], position, result[5])
    assert body["side"] == ("sell" if terms.side else "buy")
    assert body["type"] == ("market" if terms.flags & FLAG_MARKET else "limit")
    assert body["hold"]["asset"] == (SERIES.id if terms.side else SERIES.currency_id)
    assert body["client_order_id"] == terms.client_order_id
    assert orjson.loads(orjson.dumps(accepted_body(terms, OrderReply._make((*result, position, False))))) == body
