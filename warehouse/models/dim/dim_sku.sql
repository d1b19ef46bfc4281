-- Grain: goods as they are now. Key: sku_id.
-- Inputs: sku_info, spu_info, base_trademark, dim_category3.
--
-- Name, price, brand, categories and product as they are now; dim_sku_history has what
-- they were, and dwd_trade_order_detail_dim what they were when goods were ordered.
CREATE MATERIALIZED VIEW dim_sku AS
SELECT
  s.id AS sku_id,
  s.sku_name,
  s.price,
  s.is_sale,
  s.spu_id,
  p.spu_name,
  s.tm_id,
  t.tm_name,
  s.category3_id,
  c.category3_name,
  c.category2_id,
  c.category2_name,
  c.category1_id,
  c.category1_name
FROM sku_info AS s
LEFT JOIN spu_info AS p ON p.id = s.spu_id
LEFT JOIN base_trademark AS t ON t.id = s.tm_id
LEFT JOIN dim_category3 AS c ON c.category3_id = s.category3_id
