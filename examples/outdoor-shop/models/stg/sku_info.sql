-- Grain: product. Key: id.
-- Inputs: products.
--
-- The shop has no product lines and no categories.
CREATE MATERIALIZED VIEW sku_info AS
SELECT
  product_id AS id,
  product_id AS spu_id,
  list_price AS price,
  title AS sku_name,
  brand_id AS tm_id,
  CAST(NULL AS BIGINT) AS category3_id,
  CASE WHEN for_sale THEN 1 ELSE 0 END AS is_sale,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS create_time
FROM products
