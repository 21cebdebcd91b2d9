"""Long proofs, one module each: `./dev campaign NAME`."""
