"""Figures: each module measures one promise against a peer or a raw limit in the same run."""
