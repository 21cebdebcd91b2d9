"""The demo: a market in licenses to real models, with a seeded history of ninety days.

Facts are in the csv tables (`tables`) and in a price package (`prices`); `market` chooses what is listed and at which
price; `script` writes the history.
"""
