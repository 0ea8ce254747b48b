"""The hub among paper scenery: connections that only record, clocks set by hand, hashing at will."""
