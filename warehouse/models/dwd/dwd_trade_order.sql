-- Grain: order, as it stands now. Key: order_id.
-- Inputs: order_info, dwd_trade_order_amount, dwd_trade_pay_suc, dim_province_history,
-- dim_test_user, dim_order_rate.
--
-- status_name: paid if a payment succeeded, whatever was refunded later;
-- cancelled if it was cancelled without one; unpaid otherwise.
-- day, minute: of creation, in the business time zone; paid_day, paid_minute:
-- of the payment. goods_amount, freight: in the shop's currency. province_name: as
-- it was when the order was made; dim_province has today's. is_test: an order or a
-- member of a test; metrics leave it out.
CREATE MATERIALIZED VIEW dwd_trade_order AS
SELECT
  o.id AS order_id,
  o.user_id,
  o.province_id,
  p.province_name,
  o.channel,
  o.is_test OR t.user_id IS NOT NULL AS is_test,
  o.create_time,
  CAST(o.create_time AT TIME ZONE '${time_zone}' AS DATE) AS day,
  CAST(date_part('hour', o.create_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', o.create_time AT TIME ZONE '${time_zone}') AS INT) AS minute,
  o.order_status AS status,
  CASE
    WHEN s.paid_time IS NOT NULL THEN 'paid'
    WHEN o.order_status IN ('${order_cancelled}') THEN 'cancelled'
    ELSE 'unpaid'
  END AS status_name,
  a.goods_amount,
  CASE WHEN r.rate IS NULL THEN o.feight_fee - o.feight_fee_reduce
    ELSE CAST(round((o.feight_fee - o.feight_fee_reduce) * r.rate, 2) AS DECIMAL(17, 2)) END AS freight,
  a.lines,
  a.pieces,
  s.paid_time,
  CAST(s.paid_time AT TIME ZONE '${time_zone}' AS DATE) AS paid_day,
  CAST(date_part('hour', s.paid_time AT TIME ZONE '${time_zone}') * 60
    + date_part('minute', s.paid_time AT TIME ZONE '${time_zone}') AS INT) AS paid_minute
FROM order_info AS o
JOIN dwd_trade_order_amount AS a ON a.order_id = o.id
LEFT JOIN (
  SELECT order_id AS foreign_order_id, rate FROM dim_order_rate WHERE ${several_currencies}
) AS r ON r.foreign_order_id = o.id
LEFT JOIN dwd_trade_pay_suc AS s ON s.order_id = o.id
LEFT JOIN dim_province_history AS p ON p.province_id = o.province_id
  AND (p.valid_from IS NULL OR p.valid_from <= o.create_time)
  AND (p.valid_to IS NULL OR o.create_time < p.valid_to)
LEFT JOIN dim_test_user AS t ON t.user_id = o.user_id
