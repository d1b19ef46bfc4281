-- Grain: window × province. Key: stt, province_id.
-- Inputs: dwd_trade_order.
--
-- order_count: orders created; order_amount: their goods without freight.
-- province_name: as it was when the orders were made; of several in one window the
-- last in the alphabet.
CREATE MATERIALIZED VIEW dws_trade_province_order_window AS
SELECT
  stt,
  stt + INTERVAL '${window}' AS edt,
  CAST(stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  province_id,
  province_name,
  order_count,
  order_amount
FROM (
  SELECT
    date_bin(INTERVAL '${window}', create_time) AS stt,
    province_id,
    max(province_name) AS province_name,
    count(*) AS order_count,
    sum(goods_amount) AS order_amount
  FROM dwd_trade_order
  WHERE NOT is_test
  GROUP BY 1, 2
) AS windows
