-- Grain: window. Key: stt.
-- Inputs: dwd_trade_order, dwd_trade_user_first.
--
-- payment_suc_ct: orders paid; payment_suc_uu_ct: members who paid, does not add
-- up; payment_new_uu_ct: members whose first payment it was; amount: goods paid.
CREATE MATERIALIZED VIEW dws_trade_payment_suc_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  payment_suc_ct,
  payment_suc_uu_ct,
  payment_new_uu_ct,
  coalesce(amount, 0) AS amount
FROM (
  SELECT
    stt,
    count(*) FILTER (WHERE kind = 'pay') AS payment_suc_ct,
    count(DISTINCT CASE WHEN kind = 'pay' THEN user_id END) AS payment_suc_uu_ct,
    count(*) FILTER (WHERE kind = 'new') AS payment_new_uu_ct,
    sum(amount) AS amount
  FROM (
    SELECT date_bin(INTERVAL '${window}', paid_time) AS stt, 'pay' AS kind, user_id, goods_amount AS amount
    FROM dwd_trade_order
    WHERE paid_time IS NOT NULL AND NOT is_test
    UNION ALL
    SELECT date_bin(INTERVAL '${window}', first_paid_time), 'new', user_id, NULL
    FROM dwd_trade_user_first
    WHERE first_paid_time IS NOT NULL
  ) AS payments
  GROUP BY stt
) AS windows
