"""Order books of other people that the matching bench runs beside ours, and the C++ ladder it is measured against."""
