-- Grain: bid, its price in another currency.
-- Inputs: bid.
CREATE MATERIALIZED VIEW q1 AS
SELECT auction, bidder, CAST('0.908' AS DECIMAL(4, 3)) * price AS price, date_time, extra FROM bid
