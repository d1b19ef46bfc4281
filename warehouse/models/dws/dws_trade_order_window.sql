-- Grain: window. Key: stt.
-- Inputs: dwd_trade_order, dwd_trade_order_amount, dwd_trade_user_first,
-- dwd_trade_order_cancel, dwd_trade_refund_pay_suc.
--
-- Of orders created in the window: order_ct; order_uu_ct (members, does not add
-- up); new_order_uu_ct (members whose first order it was); original_amount,
-- activity_amount, coupon_amount; gmv_gross = original - activity - coupon, goods
-- without freight; of it gmv_unpaid, gmv_cancelled, gmv_paid_of_orders, which
-- always add up to gross; freight after reduction.
-- Of what happened in the window: cancel_amount (goods of orders cancelled then),
-- gmv_paid (goods paid), gmv_refunded, gmv_net = gmv_paid - gmv_refunded.
CREATE MATERIALIZED VIEW dws_trade_order_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  order_ct,
  order_uu_ct,
  new_order_uu_ct,
  coalesce(original_amount, 0) AS original_amount,
  coalesce(activity_amount, 0) AS activity_amount,
  coalesce(coupon_amount, 0) AS coupon_amount,
  coalesce(gmv_gross, 0) AS gmv_gross,
  coalesce(gmv_unpaid, 0) AS gmv_unpaid,
  coalesce(gmv_cancelled, 0) AS gmv_cancelled,
  coalesce(gmv_paid_of_orders, 0) AS gmv_paid_of_orders,
  coalesce(freight, 0) AS freight,
  coalesce(cancel_amount, 0) AS cancel_amount,
  coalesce(gmv_paid, 0) AS gmv_paid,
  coalesce(gmv_refunded, 0) AS gmv_refunded,
  coalesce(gmv_paid, 0) - coalesce(gmv_refunded, 0) AS gmv_net
FROM (
  SELECT
    stt,
    count(*) FILTER (WHERE kind = 'order') AS order_ct,
    count(DISTINCT CASE WHEN kind = 'order' THEN user_id END) AS order_uu_ct,
    count(*) FILTER (WHERE kind = 'new') AS new_order_uu_ct,
    sum(original_amount) AS original_amount,
    sum(activity_amount) AS activity_amount,
    sum(coupon_amount) AS coupon_amount,
    sum(amount) FILTER (WHERE kind = 'order') AS gmv_gross,
    sum(amount) FILTER (WHERE kind = 'order' AND status_name = 'unpaid') AS gmv_unpaid,
    sum(amount) FILTER (WHERE kind = 'order' AND status_name = 'cancelled') AS gmv_cancelled,
    sum(amount) FILTER (WHERE kind = 'order' AND status_name = 'paid') AS gmv_paid_of_orders,
    sum(freight) AS freight,
    sum(amount) FILTER (WHERE kind = 'cancel') AS cancel_amount,
    sum(amount) FILTER (WHERE kind = 'pay') AS gmv_paid,
    sum(amount) FILTER (WHERE kind = 'refund') AS gmv_refunded
  FROM (
    SELECT date_bin(INTERVAL '${window}', o.create_time) AS stt, 'order' AS kind, o.user_id, o.status_name,
      a.original_amount, a.activity_amount, a.coupon_amount, o.goods_amount AS amount, o.freight
    FROM dwd_trade_order AS o
    JOIN dwd_trade_order_amount AS a ON a.order_id = o.order_id
    WHERE NOT o.is_test
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', first_order_time), 'new', user_id, CAST(NULL AS VARCHAR),
      NULL, NULL, NULL, NULL, NULL
    FROM dwd_trade_user_first
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', cancel_time), 'cancel', user_id, CAST(NULL AS VARCHAR),
      NULL, NULL, NULL, goods_amount, NULL
    FROM dwd_trade_order_cancel
    WHERE NOT is_test
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', paid_time), 'pay', user_id, CAST(NULL AS VARCHAR),
      NULL, NULL, NULL, goods_amount, NULL
    FROM dwd_trade_order
    WHERE paid_time IS NOT NULL AND NOT is_test
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', callback_time), 'refund', user_id, CAST(NULL AS VARCHAR),
      NULL, NULL, NULL, refund_amount, NULL
    FROM dwd_trade_refund_pay_suc
    WHERE NOT is_test
  ) AS happenings
  GROUP BY stt
) AS windows
