-- Grain: business month of the cancellation × how well it could be matched.
-- Key: month, match_status.
-- Inputs: dwd_cancellation_matched.
CREATE MATERIALIZED VIEW cancellations_by_month AS
SELECT
  month,
  match_status,
  count(DISTINCT cancellation_no) AS invoices,
  sum(quantity) AS quantity,
  sum(matched_quantity) AS matched_quantity,
  sum(amount) AS amount
FROM dwd_cancellation_matched
GROUP BY month, match_status
