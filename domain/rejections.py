"""Every way in which the house says no: one catalogue of stable codes, and the value that carries one.

A code's name is what doors, reports and tests use; its number is what log rows store. Neither is changed or reused.
Numbers 1 to 99 are results of the kernels, 100 to 199 belong to the doors, 200 and up to the domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """Why something was refused; `code` is the stable snake_case name, `meaning` one line of English."""

    # Results of the kernels.
    UNKNOWN_SERIES = 1
    SERIES_HALTED = 2
    SERIES_ENDED = 3
    UNKNOWN_PARTY = 4
    ROLE_REQUIRED = 5
    PARTY_FROZEN = 6
    PRICE_OUT_OF_RANGE = 7
    LOTS_OUT_OF_RANGE = 8
    NOTIONAL_TOO_LARGE = 9
    INSUFFICIENT_FUNDS = 10
    INSUFFICIENT_UNITS = 11
    SUPPLY_EXHAUSTED = 12
    UNKNOWN_ORDER = 13
    ORDER_NOT_OPEN = 14
    NOT_YOUR_ORDER = 15
    CAPACITY_EXHAUSTED = 16
    PROTECTION_REQUIRED = 17
    UNKNOWN_ACCOUNT = 18
    JOURNAL_UNBALANCED = 19
    AMOUNT_OUT_OF_RANGE = 20
    FLOOR_BREACHED = 21
    UNKNOWN_KIND = 22
    NOT_THE_ISSUER = 23
    RESALE_NOT_ALLOWED = 24
    NO_WATERFALL = 25
    ACCOUNT_CLOSED = 26
    REFUND_EXCEEDS_SALE = 27
    UNITS_NOT_RETURNABLE = 28
    CLIENT_ORDER_ID_TAKEN = 29
    COMMAND_MALFORMED = 30
    LOTS_NOT_REDUCIBLE = 31

    # Doors.
    PRICE_NOT_ON_TICK = 100
    QUANTITY_NOT_ON_LOT = 101
    MALFORMED_NUMBER = 102
    REQUEST_ID_REUSED = 103
    MISSING_FIELD = 104
    UNKNOWN_FIELD = 105
    WRONG_TYPE = 106
    AMOUNT_NOT_ON_MINOR_UNIT = 107
    MALFORMED_REQUEST_ID = 108
    MALFORMED_CLIENT_ORDER_ID = 109
    UNKNOWN_SYMBOL = 110

    # The domain: shape of a value.
    MALFORMED_TEXT = 200
    MALFORMED_KEY = 201
    MALFORMED_COUNTRY = 202
    MALFORMED_SYMBOL = 203
    MALFORMED_DIGEST = 204
    MALFORMED_DAY = 205
    MALFORMED_SEMVER = 206
    VALUE_OUT_OF_RANGE = 207
    TOO_MANY_ITEMS = 208
    DUPLICATE_ITEM = 209
    DAY_IN_FUTURE = 210
    TIME_IN_PAST = 211
    DAYS_REVERSED = 212
    MALFORMED_TERM = 213
    MALFORMED_TERRITORY = 214

    # Parties.
    ROLES_EXCLUDE_EACH_OTHER = 220
    ROLE_ALREADY_HELD = 221
    ROLE_NOT_HELD = 222
    OWNERSHIP_CIRCLE = 223
    OWNER_ALREADY_DECLARED = 224
    PARTY_NOT_FROZEN = 225
    NOT_THE_OWNER = 226
    HOUSE_ONLY = 227

    # Data sets.
    UNKNOWN_DATASET = 230
    UNKNOWN_DATASET_VERSION = 231
    DATASET_KEY_TAKEN = 232
    DATASET_LABEL_TAKEN = 233
    DATASET_VERSION_NOT_PUBLISHED = 234
    DATASET_VERSION_WITHDRAWN = 235
    DATASET_VERSION_ALREADY_PUBLISHED = 236

    # Models.
    UNKNOWN_MODEL = 240
    UNKNOWN_MODEL_VERSION = 241
    MODEL_KEY_TAKEN = 242
    SEMVER_TAKEN = 243
    MODEL_VERSION_NOT_PUBLISHED = 244
    MODEL_VERSION_WITHDRAWN = 245
    MODEL_VERSION_ALREADY_PUBLISHED = 246
    UNKNOWN_TRAINING_RUN = 247
    TRAINING_RUN_OF_ANOTHER_MODEL = 248
    TRAINING_RUN_DOES_NOT_COVER = 249
    WEIGHTS_ABOVE_WHOLE = 250

    # Licensing and venue.
    UNKNOWN_TERMS = 260
    TERMS_OF_ANOTHER_DEVELOPER = 261
    UNKNOWN_CURRENCY = 270
    CURRENCY_CODE_TAKEN = 271
    SYMBOL_TAKEN = 272
    SERIES_NOT_HALTED = 273
    LIMITS_CONTRADICT = 274
    END_AGAINST_TERMS = 275
    REBATE_EXCEEDS_TAKER_FEE = 276

    # Payments and revenue.
    DUPLICATE_REFERENCE = 280
    REFERENCE_CONFLICT = 281
    UNKNOWN_TRADE = 282
    NO_AGREEMENT = 290
    TOO_MANY_PAYEES = 291
    AGREEMENT_OUT_OF_ORDER = 292
    SHARES_ABOVE_WHOLE = 293
    HOUSE_OPEN = 300

    @property
    def code(self) -> str:
        return self.name.lower()

    @property
    def meaning(self) -> str:
        return MEANINGS[self]


MEANINGS: Final[dict[Reason, str]] = {
    Reason.UNKNOWN_SERIES: "There is no series of this number.",
    Reason.SERIES_HALTED: "Trading in the series is halted.",
    Reason.SERIES_ENDED: "The series has ended and never trades again.",
    Reason.UNKNOWN_PARTY: "There is no party of this number.",
    Reason.ROLE_REQUIRED: "The actor does not hold the role that this command needs.",
    Reason.PARTY_FROZEN: "The party is frozen by the risk officer.",
    Reason.PRICE_OUT_OF_RANGE: "The price is not positive or is above the greatest price of the series.",
    Reason.LOTS_OUT_OF_RANGE: "The quantity is not positive or is above the greatest quantity of one order.",
    Reason.NOTIONAL_TOO_LARGE: "Price times quantity is above the greatest notional of one order.",
    Reason.INSUFFICIENT_FUNDS: "Less money is available than the command needs.",
    Reason.INSUFFICIENT_UNITS: "Fewer license units are available than the command needs.",
    Reason.SUPPLY_EXHAUSTED: "The sale would issue more lots than the supply cap of the series.",
    Reason.UNKNOWN_ORDER: "There is no order of this number.",
    Reason.ORDER_NOT_OPEN: "The order was filled, canceled or expired.",
    Reason.NOT_YOUR_ORDER: "The order belongs to another party.",
    Reason.CAPACITY_EXHAUSTED: "A table of the house is at its configured maximum.",
    Reason.PROTECTION_REQUIRED: "A market order needs a protection price.",
    Reason.UNKNOWN_ACCOUNT: "There is no account of this number.",
    Reason.JOURNAL_UNBALANCED: "A leg of the journal does not move one asset between two different accounts.",
    Reason.AMOUNT_OUT_OF_RANGE: "The amount is not positive or is above the greatest amount.",
    Reason.FLOOR_BREACHED: "The movement would take an account below its floor.",
    Reason.UNKNOWN_KIND: "There is no command of this kind.",
    Reason.NOT_THE_ISSUER: "Only the issuer of the series sells unissued supply.",
    Reason.RESALE_NOT_ALLOWED: "The terms of the series do not allow resale.",
    Reason.NO_WATERFALL: "The series has no revenue waterfall of this version.",
    Reason.ACCOUNT_CLOSED: "The account is closed.",
    Reason.REFUND_EXCEEDS_SALE: "More lots would be refunded than were sold.",
    Reason.UNITS_NOT_RETURNABLE: "The buyer does not hold the units that a refund returns.",
    Reason.CLIENT_ORDER_ID_TAKEN: "Another order of the party carries this client order id.",
    Reason.COMMAND_MALFORMED: "The command is not well formed.",
    Reason.LOTS_NOT_REDUCIBLE: "An order is reduced by at least one lot and by less than what is left of it.",
    Reason.PRICE_NOT_ON_TICK: "The price is not a multiple of the tick size.",
    Reason.QUANTITY_NOT_ON_LOT: "The quantity is not a multiple of the lot size.",
    Reason.MALFORMED_NUMBER: "The text is not a plain decimal number.",
    Reason.REQUEST_ID_REUSED: "The request id was used before with another body.",
    Reason.MISSING_FIELD: "A required field is missing.",
    Reason.UNKNOWN_FIELD: "The field does not exist.",
    Reason.WRONG_TYPE: "The value is not of the field's type.",
    Reason.AMOUNT_NOT_ON_MINOR_UNIT: "The amount has more decimals than the currency.",
    Reason.MALFORMED_REQUEST_ID: "A request id is 16 bytes.",
    Reason.MALFORMED_CLIENT_ORDER_ID: "A client order id is 1 to 36 characters of A-Z, a-z, 0-9, _ and -.",
    Reason.UNKNOWN_SYMBOL: "There is no series of this symbol.",
    Reason.MALFORMED_TEXT: "The text is empty, too long, padded or holds control characters.",
    Reason.MALFORMED_KEY: "The key breaks the rule for keys.",
    Reason.MALFORMED_COUNTRY: "The code is not an ISO 3166-1 alpha-2 country code.",
    Reason.MALFORMED_SYMBOL: "The symbol or currency code breaks its rule.",
    Reason.MALFORMED_DIGEST: "A digest is exactly 32 bytes.",
    Reason.MALFORMED_DAY: "The text is not a calendar day in the form YYYY-MM-DD.",
    Reason.MALFORMED_SEMVER: "The text is not a semantic version.",
    Reason.VALUE_OUT_OF_RANGE: "The number is outside its range.",
    Reason.TOO_MANY_ITEMS: "The list holds too many or too few items.",
    Reason.DUPLICATE_ITEM: "The list names the same thing twice.",
    Reason.DAY_IN_FUTURE: "The day is after the current day.",
    Reason.TIME_IN_PAST: "The time is before the time of the command.",
    Reason.DAYS_REVERSED: "The end is before the start.",
    Reason.MALFORMED_TERM: "The kind of term and its end or its days do not belong together.",
    Reason.MALFORMED_TERRITORY: "A territory is 'worldwide' alone or sorted, distinct country codes.",
    Reason.ROLES_EXCLUDE_EACH_OTHER: "No party is both an operator and a trader.",
    Reason.ROLE_ALREADY_HELD: "The party holds the role already.",
    Reason.ROLE_NOT_HELD: "The party does not hold the role.",
    Reason.OWNERSHIP_CIRCLE: "The owner would be owned, directly or through others, by the party it owns.",
    Reason.OWNER_ALREADY_DECLARED: "The party has a declared beneficial owner.",
    Reason.PARTY_NOT_FROZEN: "The party is not frozen.",
    Reason.NOT_THE_OWNER: "The actor does not own what the command changes.",
    Reason.HOUSE_ONLY: "Only the house itself does this.",
    Reason.UNKNOWN_DATASET: "There is no data set of this number.",
    Reason.UNKNOWN_DATASET_VERSION: "There is no data set version of this number.",
    Reason.DATASET_KEY_TAKEN: "Another data set has this key.",
    Reason.DATASET_LABEL_TAKEN: "Another version of the data set has this label.",
    Reason.DATASET_VERSION_NOT_PUBLISHED: "The data set version is registered but not published.",
    Reason.DATASET_VERSION_WITHDRAWN: "The data set version was withdrawn and may no longer be used.",
    Reason.DATASET_VERSION_ALREADY_PUBLISHED: "The data set version is published already.",
    Reason.UNKNOWN_MODEL: "There is no model of this number.",
    Reason.UNKNOWN_MODEL_VERSION: "There is no model version of this number.",
    Reason.MODEL_KEY_TAKEN: "Another model has this key.",
    Reason.SEMVER_TAKEN: "Another version of the model has this semantic version.",
    Reason.MODEL_VERSION_NOT_PUBLISHED: "The model version is registered but not published.",
    Reason.MODEL_VERSION_WITHDRAWN: "The model version was withdrawn and may no longer be used.",
    Reason.MODEL_VERSION_ALREADY_PUBLISHED: "The model version is published already.",
    Reason.UNKNOWN_TRAINING_RUN: "There is no training run of this number.",
    Reason.TRAINING_RUN_OF_ANOTHER_MODEL: "The training run belongs to another model.",
    Reason.TRAINING_RUN_DOES_NOT_COVER: "The training run does not cite a data set version of the lineage.",
    Reason.WEIGHTS_ABOVE_WHOLE: "The weights add up to more than 1,000,000,000 parts per billion.",
    Reason.UNKNOWN_TERMS: "There are no terms of this number.",
    Reason.TERMS_OF_ANOTHER_DEVELOPER: "The terms belong to another developer.",
    Reason.UNKNOWN_CURRENCY: "There is no currency of this number.",
    Reason.CURRENCY_CODE_TAKEN: "Another currency has this code.",
    Reason.SYMBOL_TAKEN: "Another series has this symbol.",
    Reason.SERIES_NOT_HALTED: "The series is not halted.",
    Reason.LIMITS_CONTRADICT: "The limits of the series contradict each other.",
    Reason.END_AGAINST_TERMS: "The series would end after its terms.",
    Reason.REBATE_EXCEEDS_TAKER_FEE: "A maker rebate would exceed the taker fee that pays for it.",
    Reason.DUPLICATE_REFERENCE: "The same payment was recorded before.",
    Reason.REFERENCE_CONFLICT: "The reference was recorded before with another amount, currency or day.",
    Reason.UNKNOWN_TRADE: "The log has no such trade, or it was another than the refund says.",
    Reason.HOUSE_OPEN: "The log has stated the limits of its house before.",
    Reason.NO_AGREEMENT: "No revenue agreement of the model is in force.",
    Reason.TOO_MANY_PAYEES: "The revenue would be split among more than 64 payees.",
    Reason.AGREEMENT_OUT_OF_ORDER: "An agreement takes effect after every earlier one of its model.",
    Reason.SHARES_ABOVE_WHOLE: "The shares of the agreement add up to more than the whole.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expected no: nothing happened, and this is why."""

    reason: Reason
    field: str
    """Path of the offending input, such as `datasets[2].weight_ppb`."""
    rule: str
    """What the field must fulfill."""
    value: str
    """The offending value as text, shortened."""
    detail: str = ""

    @property
    def code(self) -> str:
        return self.reason.code

    @property
    def message(self) -> str:
        text = f"{self.field}: {self.rule}; got {self.value}"
        return f"{text} ({self.detail})" if self.detail else text


VALUE_CHARACTERS_MAX: Final = 80


def refuse(reason: Reason, field: str, rule: str, value: object, detail: str = "") -> Refusal:
    """A refusal that shows any value, shortened to 80 characters."""
    shown = str(value) if isinstance(value, int) and not isinstance(value, bool) else repr(value)
    if len(shown) > VALUE_CHARACTERS_MAX:
        shown = shown[: VALUE_CHARACTERS_MAX - 1] + "…"
    return Refusal(reason=reason, field=field, rule=rule, value=shown, detail=detail)
