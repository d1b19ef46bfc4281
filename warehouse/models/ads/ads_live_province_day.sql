-- Grain: business day × province. Key: day, province_id.
-- Inputs: dwd_trade_order.
--
-- orders, gmv_gross: orders created, goods without freight. province_name: as it
-- was when the orders were made; of several on one day the last in the alphabet.
CREATE MATERIALIZED VIEW ads_live_province_day AS
SELECT
  day,
  province_id,
  max(province_name) AS province_name,
  count(*) AS orders,
  sum(goods_amount) AS gmv_gross
FROM dwd_trade_order
WHERE NOT is_test
GROUP BY day, province_id
