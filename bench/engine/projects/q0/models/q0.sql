-- Grain: bid. Pass-through.
-- Inputs: bid.
CREATE MATERIALIZED VIEW q0 AS
SELECT auction, bidder, price, date_time, extra FROM bid
