-- Grain: category, the mean price that its auctions closed at.
-- Inputs: auction, bid.
CREATE MATERIALIZED VIEW q4 AS
SELECT category, avg(final) AS final
FROM (
  SELECT max(b.price) AS final, a.category
  FROM auction AS a
  JOIN bid AS b ON a.id = b.auction
  WHERE b.date_time BETWEEN a.date_time AND a.expires
  GROUP BY a.id, a.category
) AS closed
GROUP BY category
