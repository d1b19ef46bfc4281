-- Grain: bid that is the highest of its ten seconds.
-- Inputs: bid.
CREATE MATERIALIZED VIEW q7 AS
SELECT b.auction, b.bidder, b.price, b.date_time, b.extra
FROM tumble(bid, date_time, INTERVAL '10 seconds') AS b
JOIN (
  SELECT max(price) AS most, window_start
  FROM tumble(bid, date_time, INTERVAL '10 seconds')
  GROUP BY window_start, window_end
) AS m ON b.price = m.most AND b.window_start = m.window_start
