-- Grain: window × brand × category × member × product. Key: stt, tm_id,
-- category3_id, user_id, spu_id.
-- Inputs: dwd_trade_refund_pay_suc, dwd_trade_order_detail, base_trademark,
-- dim_category3, spu_info.
--
-- refund_count: refunds paid out in the window; refund_amount. Brand, category
-- and product of the goods are those at the time of the order.
CREATE MATERIALIZED VIEW dws_trade_trademark_category_user_spu_refund_window AS
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
  w.refund_count,
  w.refund_amount
FROM (
  SELECT
    date_bin(INTERVAL '${window}', r.callback_time) AS stt,
    g.tm_id, g.category3_id, r.user_id, g.spu_id,
    count(*) AS refund_count,
    sum(r.refund_amount) AS refund_amount
  FROM dwd_trade_refund_pay_suc AS r
  LEFT JOIN (
    SELECT order_id, sku_id, min(tm_id) AS tm_id, min(category3_id) AS category3_id, min(spu_id) AS spu_id
    FROM dwd_trade_order_detail
    GROUP BY order_id, sku_id
  ) AS g ON g.order_id = r.order_id AND g.sku_id = r.sku_id
  WHERE NOT r.is_test
  GROUP BY 1, 2, 3, 4, 5
) AS w
LEFT JOIN base_trademark AS t ON t.id = w.tm_id
LEFT JOIN dim_category3 AS c ON c.category3_id = w.category3_id
LEFT JOIN spu_info AS p ON p.id = w.spu_id
