-- Grain: window of ten seconds, every two, and the auctions with the most bids in it.
-- Inputs: bid.
CREATE MATERIALIZED VIEW q5 AS
WITH counts AS (
  SELECT auction, count(*) AS num, window_start, window_end
  FROM hop(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')
  GROUP BY auction, window_start, window_end
)
SELECT a.auction, a.num, a.window_start
FROM counts AS a
JOIN (
  SELECT max(num) AS most, window_start, window_end FROM counts GROUP BY window_start, window_end
) AS m ON a.window_start = m.window_start AND a.window_end = m.window_end AND a.num >= m.most
