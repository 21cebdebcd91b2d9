"""The catalogue of codes is complete, stable and readable."""

from domain.rejections import MEANINGS, Reason, refuse

KERNEL = """
    1 unknown_series 2 series_halted 3 series_ended 4 unknown_party 5 role_required 6 party_frozen 7 price_out_of_range
    8 lots_out_of_range 9 notional_too_large 10 insufficient_funds 11 insufficient_units 12 supply_exhausted
    13 unknown_order 14 order_not_open 15 not_your_order 16 capacity_exhausted 17 protection_required 18 unknown_account
    19 journal_unbalanced 20 amount_out_of_range 21 floor_breached 22 unknown_kind 23 not_the_issuer
    24 resale_not_allowed 25 no_waterfall 26 account_closed 27 refund_exceeds_sale 28 units_not_returnable
    29 client_order_id_taken 30 command_malformed 31 lots_not_reducible
"""


def test_the_kernels_results_have_their_numbers() -> None:
    words = KERNEL.split()
    expected = {int(number): code for number, code in zip(words[::2], words[1::2], strict=True)}
    assert {reason.value: reason.code for reason in Reason if reason < 100} == expected


def test_every_reason_has_a_one_line_meaning_of_its_own() -> None:
    assert set(MEANINGS) == set(Reason)
    assert len(set(MEANINGS.values())) == len(Reason)
    for reason in Reason:
        assert reason.meaning.endswith(".") and "\n" not in reason.meaning
        assert reason.code == reason.code.lower() and reason.code.isidentifier()


def test_a_refusal_shows_field_rule_and_a_shortened_value() -> None:
    refusal = refuse(Reason.MALFORMED_TEXT, "title", "must be short", "x" * 500, "see above")
    assert refusal.message == f"title: must be short; got 'x{'x' * 77}… (see above)"
    assert refuse(Reason.WRONG_TYPE, "lots", "must be an integer", True).value == "True"
