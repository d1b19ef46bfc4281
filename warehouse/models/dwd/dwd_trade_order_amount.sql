-- Grain: order. Key: order_id.
-- Inputs: order_detail.
--
-- goods_amount: what is to be paid for the goods, after reductions, without
-- freight. The order's own total_amount is never summed over its lines.
CREATE MATERIALIZED VIEW dwd_trade_order_amount AS
SELECT
  order_id,
  count(*) AS lines,
  sum(sku_num) AS pieces,
  sum(split_total_amount) AS goods_amount
FROM order_detail
GROUP BY order_id
