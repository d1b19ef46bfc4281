-- Grain: brand. Key: tm_id. A query view.
-- Inputs: dwd_trade_order_detail, dim_trademark.
--
-- Over the 30 business days up to the newest order. buyers: members who ordered
-- something of the brand, also in orders that were not paid or were cancelled;
-- repeat_buyers: those of them with two or more such orders; repeat_rate: repeat_buyers by
-- buyers.
CREATE VIEW ads_repeat_purchase_by_tm AS
SELECT
  u.tm_id,
  t.tm_name,
  count(*) AS buyers,
  count(*) FILTER (WHERE u.orders > 1) AS repeat_buyers,
  CAST(count(*) FILTER (WHERE u.orders > 1) AS DOUBLE) / count(*) AS repeat_rate
FROM (
  SELECT d.tm_id, d.user_id, count(DISTINCT d.order_id) AS orders
  FROM dwd_trade_order_detail AS d
  CROSS JOIN (
    SELECT max(day) AS day FROM dwd_trade_order_detail WHERE NOT is_test
  ) AS newest
  WHERE NOT d.is_test AND newest.day - d.day < 30
  GROUP BY d.tm_id, d.user_id
) AS u
LEFT JOIN dim_trademark AS t ON t.tm_id = u.tm_id
GROUP BY u.tm_id, t.tm_name
