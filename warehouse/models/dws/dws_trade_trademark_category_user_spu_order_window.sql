-- Grain: window × brand × category × member × product. Key: stt, tm_id,
-- category3_id, user_id, spu_id.
-- Inputs: dwd_trade_order_detail, base_trademark, dim_category3, spu_info.
--
-- order_count: distinct orders, which do not add up over products; order_amount:
-- what is to be paid for the lines. Brand, category and product of the goods are
-- those at the time of the order, names are today's.
CREATE MATERIALIZED VIEW dws_trade_trademark_category_user_spu_order_window AS
SELECT
  w.stt,
  w.stt + INTERVAL '${window}' AS edt,
  CAST(w.stt AT TIME ZONE '${time_zone}' AS DATE) AS cur_date,
  w.tm_id,
  t.tm_name,
  c.category1_id,
  c.category1_name,
  c.category2_id,
  c.category2_name,
  w.category3_id,
  c.category3_name,
  w.user_id,
  w.spu_id,
  p.spu_name,
  w.order_count,
  w.order_amount
FROM (
  SELECT
    date_bin(INTERVAL '${window}', create_time) AS stt,
    tm_id, category3_id, user_id, spu_id,
    count(DISTINCT order_id) AS order_count,
    sum(amount) AS order_amount
  FROM dwd_trade_order_detail
  WHERE NOT is_test
  GROUP BY 1, 2, 3, 4, 5
) AS w
LEFT JOIN base_trademark AS t ON t.id = w.tm_id
LEFT JOIN dim_category3 AS c ON c.category3_id = w.category3_id
LEFT JOIN spu_info AS p ON p.id = w.spu_id
