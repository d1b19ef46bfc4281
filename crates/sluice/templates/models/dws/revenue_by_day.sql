-- Grain: one business day. Key: day.
-- Inputs: dwd_order_line.
CREATE MATERIALIZED VIEW revenue_by_day AS
SELECT
  day,
  count(DISTINCT order_id) AS orders,
  count(DISTINCT customer_id) AS customers,
  sum(amount) AS revenue
FROM dwd_order_line
GROUP BY day
