-- Grain: business day × province. Key: day, province_id.
-- Inputs: dwd_trade_order.
--
-- orders, gmv_gross: orders created, goods without freight.
CREATE MATERIALIZED VIEW ads_live_province_day AS
SELECT
  day,
  province_id,
  province_name,
  count(*) AS orders,
  sum(goods_amount) AS gmv_gross
FROM dwd_trade_order
WHERE NOT is_test
GROUP BY day, province_id, province_name
