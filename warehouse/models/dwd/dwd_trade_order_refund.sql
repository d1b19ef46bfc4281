-- Grain: request for a refund. Key: refund_id. A query view.
-- Inputs: order_refund_info, order_info, base_dic, dim_test_user.
--
-- What members asked for, whatever became of it; dwd_trade_refund_pay_suc has what was
-- paid out. refund_status: how far it is, a code; refund_status_name: the same in words.
-- pieces, refund_amount: asked for, the amount in the order's currency. create_time,
-- day: of the request. is_test: of a test order or member.
CREATE VIEW dwd_trade_order_refund AS
SELECT
  r.id AS refund_id,
  coalesce(r.user_id, o.user_id) AS user_id,
  r.order_id,
  r.sku_id,
  o.province_id,
  r.refund_type,
  y.dic_name AS refund_type_name,
  r.refund_reason_type,
  w.dic_name AS refund_reason_name,
  r.refund_status,
  s.dic_name AS refund_status_name,
  r.refund_num AS pieces,
  r.refund_amount,
  coalesce(o.is_test, FALSE) OR t.user_id IS NOT NULL AS is_test,
  r.create_time,
  CAST(r.create_time AT TIME ZONE '${time_zone}' AS DATE) AS day
FROM order_refund_info AS r
LEFT JOIN order_info AS o ON o.id = r.order_id
LEFT JOIN base_dic AS y ON y.dic_code = r.refund_type
LEFT JOIN base_dic AS w ON w.dic_code = r.refund_reason_type
LEFT JOIN base_dic AS s ON s.dic_code = r.refund_status
LEFT JOIN dim_test_user AS t ON t.user_id = o.user_id
