-- Grain: order. Key: order_id. A query view.
-- Inputs: dwd_trade_order, dim_user_history, user_info.
--
-- user_level: of the member when the order was made; user_level_current: today's.
CREATE VIEW dwd_trade_order_member AS
SELECT o.order_id, o.user_id, o.day, o.is_test, o.goods_amount,
  h.user_level, u.user_level AS user_level_current, h.gender, h.birth_year
FROM dwd_trade_order AS o
LEFT JOIN dim_user_history AS h ON h.user_id = o.user_id
  AND (h.valid_from IS NULL OR h.valid_from <= o.create_time)
  AND (h.valid_to IS NULL OR o.create_time < h.valid_to)
LEFT JOIN user_info AS u ON u.id = o.user_id
