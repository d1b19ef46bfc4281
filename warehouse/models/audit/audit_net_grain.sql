-- Must be empty: days whose goods paid or refunded are not the same at every grain.
-- What names no goods or no member is compared where it is known. A query view.
-- Inputs: ads_live_day, dwd_trade_refund_pay_suc, dws_trade_payment_suc_window,
-- dws_trade_sku_event_window, dws_trade_trademark_category_user_spu_refund_window,
-- dws_user_day.
CREATE VIEW audit_net_grain AS
SELECT day, grain, sum(of_day) AS amount_of_day, sum(of_grain) AS amount_of_grain
FROM (
  SELECT day, 'paid, window' AS grain, gmv_paid AS of_day, CAST(0 AS DECIMAL(16, 2)) AS of_grain FROM ads_live_day
  UNION ALL SELECT cur_date, 'paid, window', CAST(0 AS DECIMAL(16, 2)), amount FROM dws_trade_payment_suc_window
  UNION ALL SELECT day, 'paid, sku window', gmv_paid, CAST(0 AS DECIMAL(16, 2)) FROM ads_live_day
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'paid, sku window', CAST(0 AS DECIMAL(16, 2)),
    payment_amount FROM dws_trade_sku_event_window
  UNION ALL SELECT day, 'paid, member', gmv_paid, CAST(0 AS DECIMAL(16, 2)) FROM ads_live_day
  UNION ALL SELECT day, 'paid, member', CAST(0 AS DECIMAL(16, 2)), paid_amount FROM dws_user_day
  UNION ALL SELECT day, 'refunded, brand window', gmv_refunded, CAST(0 AS DECIMAL(16, 2)) FROM ads_live_day
  UNION ALL SELECT cur_date, 'refunded, brand window', CAST(0 AS DECIMAL(16, 2)), refund_amount
    FROM dws_trade_trademark_category_user_spu_refund_window
  UNION ALL SELECT day, 'refunded, sku window', refund_amount, CAST(0 AS DECIMAL(16, 2))
    FROM dwd_trade_refund_pay_suc WHERE NOT is_test AND sku_id IS NOT NULL
  UNION ALL SELECT CAST(stt AT TIME ZONE '${time_zone}' AS DATE), 'refunded, sku window', CAST(0 AS DECIMAL(16, 2)),
    refund_amount FROM dws_trade_sku_event_window
  UNION ALL SELECT day, 'refunded, member', refund_amount, CAST(0 AS DECIMAL(16, 2))
    FROM dwd_trade_refund_pay_suc WHERE NOT is_test AND user_id IS NOT NULL
  UNION ALL SELECT day, 'refunded, member', CAST(0 AS DECIMAL(16, 2)), refund_amount FROM dws_user_day
) AS parts
GROUP BY day, grain
HAVING sum(of_day) <> sum(of_grain)
