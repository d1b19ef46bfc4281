-- Grain: bid on certain auctions.
-- Inputs: bid.
CREATE MATERIALIZED VIEW q2 AS
SELECT auction, price FROM bid WHERE auction % 123 = 0
