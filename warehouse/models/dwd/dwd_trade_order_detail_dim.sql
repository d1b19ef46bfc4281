-- Grain: order line with what its dimensions were when it was ordered, and are
-- today. Key: detail_id. A query view.
-- Inputs: dwd_trade_order_detail, dwd_trade_order_member, dwd_trade_order,
-- dim_spu_history, dim_trademark_history, dim_category3_history,
-- dim_category2_history, dim_category1_history, dim_sku, dim_province.
--
-- Names, brand, categories, product, province and the member's level as they were
-- when the order was made; …_current: as they are today, empty for what is gone.
CREATE VIEW dwd_trade_order_detail_dim AS
SELECT
  d.detail_id,
  d.order_id,
  d.day,
  d.create_time,
  d.is_test,
  d.pieces,
  d.amount,
  d.sku_id,
  d.sku_name,
  n.sku_name AS sku_name_current,
  d.spu_id,
  p.spu_name,
  n.spu_id AS spu_id_current,
  n.spu_name AS spu_name_current,
  d.tm_id,
  t.tm_name,
  n.tm_id AS tm_id_current,
  n.tm_name AS tm_name_current,
  d.category3_id,
  c3.category3_name,
  c3.category2_id,
  c2.category2_name,
  c2.category1_id,
  c1.category1_name,
  n.category3_id AS category3_id_current,
  n.category3_name AS category3_name_current,
  n.category2_id AS category2_id_current,
  n.category2_name AS category2_name_current,
  n.category1_id AS category1_id_current,
  n.category1_name AS category1_name_current,
  d.province_id,
  o.province_name,
  g.province_name AS province_name_current,
  d.user_id,
  m.user_level,
  m.user_level_current
FROM dwd_trade_order_detail AS d
JOIN dwd_trade_order AS o ON o.order_id = d.order_id
LEFT JOIN dwd_trade_order_member AS m ON m.order_id = d.order_id
LEFT JOIN dim_spu_history AS p ON p.spu_id = d.spu_id
  AND (p.valid_from IS NULL OR p.valid_from <= d.create_time)
  AND (p.valid_to IS NULL OR d.create_time < p.valid_to)
LEFT JOIN dim_trademark_history AS t ON t.tm_id = d.tm_id
  AND (t.valid_from IS NULL OR t.valid_from <= d.create_time)
  AND (t.valid_to IS NULL OR d.create_time < t.valid_to)
LEFT JOIN dim_category3_history AS c3 ON c3.category3_id = d.category3_id
  AND (c3.valid_from IS NULL OR c3.valid_from <= d.create_time)
  AND (c3.valid_to IS NULL OR d.create_time < c3.valid_to)
LEFT JOIN dim_category2_history AS c2 ON c2.category2_id = c3.category2_id
  AND (c2.valid_from IS NULL OR c2.valid_from <= d.create_time)
  AND (c2.valid_to IS NULL OR d.create_time < c2.valid_to)
LEFT JOIN dim_category1_history AS c1 ON c1.category1_id = c2.category1_id
  AND (c1.valid_from IS NULL OR c1.valid_from <= d.create_time)
  AND (c1.valid_to IS NULL OR d.create_time < c1.valid_to)
LEFT JOIN dim_sku AS n ON n.sku_id = d.sku_id
LEFT JOIN dim_province AS g ON g.province_id = d.province_id
