-- Grain: order line as it was ordered, or as it was refunded until now. Key: counts_for,
-- detail_id. A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_order, dwd_trade_refund_detail.
--
-- The rows of which the figures of goods by the day of the order are made
-- (ads_trademark_day, ads_category_day, ads_spu_day), without orders and members of
-- tests. counts_for: ordered or refunded. create_time, day: of the order, of refunds
-- too. amount: what is to be paid for the line, or what of it went back.
CREATE VIEW dwd_trade_line_event AS
SELECT 'ordered' AS counts_for, d.create_time, d.day, d.order_id, d.detail_id, d.user_id, d.sku_id, d.sku_name,
  d.spu_id, d.tm_id, d.category3_id, d.pieces, d.amount, o.status_name
FROM dwd_trade_order_detail AS d
JOIN dwd_trade_order AS o ON o.order_id = d.order_id
WHERE NOT d.is_test
UNION ALL
SELECT 'refunded', d.create_time, d.day, d.order_id, d.detail_id, d.user_id, d.sku_id, d.sku_name,
  d.spu_id, d.tm_id, d.category3_id, NULL, r.refund_amount, o.status_name
FROM dwd_trade_order_detail AS d
JOIN dwd_trade_order AS o ON o.order_id = d.order_id
JOIN dwd_trade_refund_detail AS r ON r.detail_id = d.detail_id
WHERE NOT d.is_test AND r.refund_amount > 0
