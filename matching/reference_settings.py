"""The rules of a series that its venue chooses. The rulebook's last table says why each default is what it is."""

from __future__ import annotations

from dataclasses import dataclass

from matching.rulebook_layout import AuctionSteps, BandBreach, MarketRemainder, SelfTrade

PPM = 1_000_000
BPS = 10_000
CEILING = 1 << 40
"""No series has a greater price or quantity, so price × (10^6 + ppm) and sums of lots fit in 63 bits."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits, bands and chosen rules of one series. Prices are ticks, a band's bounds are inside, 0 is no limit."""

    price_max: int = CEILING
    lots_max: int = CEILING
    value_max: int = 0
    """Greatest price × lots of an order."""
    stops_max: int = 1024
    pegs_max: int = 256
    groups_max: int = 1024

    price_low: int = 0
    price_high: int = 0
    """Static band on the prices that orders state."""
    trade_low: int = 0
    trade_high: int = 0
    """Static band on execution prices."""
    trade_ppm: int = 0
    """Dynamic band on execution prices: this far around the last trade before the taking order."""
    band_breach: BandBreach = BandBreach.VOLATILITY_AUCTION

    self_trade: SelfTrade = SelfTrade.CANCEL_NEWEST
    self_trade_in_auction: bool = False
    """Whether one owner's orders may trade with each other in an auction."""
    iceberg_first_peak_full: bool = True
    iceberg_growth_keeps_place: bool = False
    replace_to_filled_cancels: bool = True
    market_remainder: MarketRemainder = MarketRemainder.CANCEL
    stop_already_through_runs: bool = True
    peg_without_reference_parks: bool = True
    peg_mid_rounds_toward_market: bool = True
    """Half a tick is rounded up for a buyer and down for a seller, before the offset."""
    post_only_in_auction: bool = True

    auction_steps: AuctionSteps = AuctionSteps.SURPLUS_PRESSURE_REFERENCE
    auction_every_tick: bool = True
    """Whether every tick can be the price, or only a limit of an order."""
    auction_tie_higher: bool = True
    auction_pressure_cap_bps: int = 0
    """How far from the reference price pressure may carry the price; 0 is any distance."""
    auction_market_orders: bool = True
    auction_market_rests: bool = False
    """Whether a market order that an auction did not fill becomes a limit order at the auction's price."""

    def __post_init__(self) -> None:
        assert 1 <= self.price_max <= CEILING and 1 <= self.lots_max <= CEILING, self
        assert 0 <= self.trade_ppm <= PPM and 0 <= self.auction_pressure_cap_bps <= BPS, self
        assert self.self_trade != SelfTrade.SERIES, self
