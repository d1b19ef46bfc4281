-- Grain: business day × sku. Key: day, sku_id.
-- Inputs: dwd_trade_order_detail.
--
-- orders: distinct orders that hold the sku; pieces: those that were ordered;
-- gmv_gross: what is to be paid for them. sku_name: as it was when the sku was
-- ordered; of several on one day the last in the alphabet.
CREATE MATERIALIZED VIEW ads_live_sku_day AS
SELECT
  day,
  sku_id,
  max(sku_name) AS sku_name,
  count(DISTINCT order_id) AS orders,
  sum(pieces) AS pieces,
  sum(amount) AS gmv_gross
FROM dwd_trade_order_detail
WHERE NOT is_test
GROUP BY day, sku_id
