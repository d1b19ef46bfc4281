-- Grain: order line. Key: detail_id.
-- Inputs: order_detail, order_info, dim_test_user.
--
-- amount: what is to be paid for the line; sku_name: as it was when the order
-- was made; day: of the order's creation, in the business time zone; is_test: of
-- a test order or member.
CREATE MATERIALIZED VIEW dwd_trade_order_detail AS
SELECT
  d.id AS detail_id,
  d.order_id,
  o.user_id,
  d.sku_id,
  d.sku_name,
  d.sku_num AS pieces,
  d.split_total_amount AS amount,
  o.is_test OR t.user_id IS NOT NULL AS is_test,
  CAST(o.create_time AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM order_detail AS d
JOIN order_info AS o ON o.id = d.order_id
LEFT JOIN dim_test_user AS t ON t.user_id = o.user_id
