//! What comes in becomes events with deliveries, in one commit.
