"""The language of the house: commands, decisions, facts and refusals. The standard library only."""
