// The two graphs of attention. Engines recognise them by their operations, so the order and the
// types of what lies between are part of what is supported (tests/cuda asks cuDNN itself).
#include "cudnn_attention.h"

namespace lathe::cuda::cudnn {
namespace {
using Layout = AttentionShape::Layout;

Node tensor(Graph& graph, std::int64_t id, const AttentionShape& of, bool of_queries,
            const Layout& layout) {
  return graph.memory(id, Data::bf16,
                      {of.B, of_queries ? of.H : of.G, of_queries ? of.T : of.S, of.D},
                      {layout.row, layout.head, layout.time, 1});
}
// The same memory as [B, heads, width, time].
Node turned(Graph& graph, std::int64_t id, const AttentionShape& of, const Layout& layout) {
  return graph.memory(id, Data::bf16, {of.B, of.G, of.D, of.S},
                      {layout.row, layout.head, 1, layout.time});
}
// One f32 number for every query.
Node per_query(Graph& graph, std::int64_t id, const AttentionShape& of) {
  return graph.memory(id, Data::f32, {of.B, of.H, of.T, 1}, {of.H * of.T, of.T, 1, 1});
}

Node scaled_scores(Graph& graph, const AttentionShape& of, Node q, Node k_turned, Node scale) {
  const Node dots = graph.between(Data::f32, {of.B, of.H, of.T, of.S});
  graph.product(q, k_turned, dots);
  return graph.point_with(Point::multiply, dots, scale);
}
Node without_future(Graph& graph, const AttentionShape& of, Node scores) {
  if (!of.causal) return scores;
  const Node hidden = graph.scalar(id::minus_infinity);
  const Node query = graph.index(scores, 2);
  const Node key = graph.index(scores, 3);
  return graph.select(scores, hidden, graph.greater_or_equal(query, key));
}
// [B, H, T, S] -> the same, in bf16, as [B, H, S, T].
Node transposed(Graph& graph, const AttentionShape& of, Node x) {
  const Node y = graph.between(Data::bf16, {of.B, of.H, of.S, of.T},
                               {of.H * of.T * of.S, of.T * of.S, 1, of.S});
  graph.reshape(x, y);
  return y;
}
// c = a b, where c has the keys' heads: of the query heads that share one, the sum.
void product_by_key_head(Graph& graph, const AttentionShape& of, Node a, Node b, Node c) {
  if (of.H == of.G) return graph.product(a, b, c);
  const Node each = graph.between(Data::bf16, {of.B, of.H, of.S, of.D});
  graph.product(a, b, each);
  graph.fold(Fold::add, each, c);
}
}  // namespace

Graph attention_graph(const AttentionShape& of) {
  Graph graph;
  const Node q = tensor(graph, id::q, of, true, of.q);
  const Node k = turned(graph, id::k, of, of.k);
  const Node v = tensor(graph, id::v, of, false, of.v);
  const Node y = tensor(graph, id::y, of, true, of.y);
  const Node lse = per_query(graph, id::lse, of);
  const Extents each_query{of.B, of.H, of.T, 1};

  const Node scores =
      without_future(graph, of, scaled_scores(graph, of, q, k, graph.scalar(id::scale)));
  const Node most = graph.between(Data::f32, each_query);
  graph.fold(Fold::maximum, scores, most);
  const Node powers = graph.point(Point::exp, graph.point_with(Point::subtract, scores, most));
  const Node sum = graph.between(Data::f32, each_query);
  graph.fold(Fold::add, powers, sum);
  graph.point(Point::add, most, graph.point(Point::log, sum), lse);
  const Node weights = graph.between(Data::bf16, {of.B, of.H, of.T, of.S});
  graph.point(Point::divide, powers, sum, weights);
  graph.product(weights, v, y);
  return graph;
}

Graph attention_gradient_graph(const AttentionShape& of, bool deterministic) {
  Graph graph;
  const Node q = tensor(graph, id::q, of, true, of.q);
  const Node k_turned = turned(graph, id::k, of, of.k);
  const Node v_turned = turned(graph, id::v, of, of.v);
  const Node y = tensor(graph, id::y, of, true, of.y);
  const Node dy = tensor(graph, id::dy, of, true, of.dy);
  const Node dq = tensor(graph, id::dq, of, true, of.dq);
  const Node dk = tensor(graph, id::dk, of, false, of.dk);
  const Node dv = tensor(graph, id::dv, of, false, of.dv);
  const Node lse = per_query(graph, id::lse, of);
  const Node delta = per_query(graph, id::delta, of);
  const Node scale = graph.scalar(id::scale);

  const Node reached = graph.between(Data::f32, {of.B, of.H, of.T, 1});
  graph.fold(Fold::add, graph.point_with(Point::multiply, dy, y), reached);
  graph.point(Point::multiply, reached, graph.scalar(id::one), delta);

  const Node scores = scaled_scores(graph, of, q, k_turned, scale);
  const Node weights = graph.point(
      Point::exp, without_future(graph, of, graph.point_with(Point::subtract, scores, lse)));
  product_by_key_head(graph, of, transposed(graph, of, weights), dy, dv);

  const Node dweights = graph.between(Data::f32, {of.B, of.H, of.T, of.S});
  graph.product(dy, v_turned, dweights);
  const Node dscores = graph.point_with(
      Point::multiply,
      graph.point_with(Point::multiply, graph.point_with(Point::subtract, dweights, delta),
                       weights),
      scale);
  product_by_key_head(graph, of, transposed(graph, of, dscores), q, dk);

  const Node k =
      graph.between(Data::bf16, {of.B, of.G, of.S, of.D}, {of.k.row, of.k.head, of.k.time, 1});
  graph.reshape(k_turned, k);
  if (deterministic) {
    graph.product(dscores, k, dq);
  } else {
    const Node sum = graph.memory(id::dq_sum, Data::f32, {of.B, of.H, of.T, of.D},
                                  {of.H * of.T * of.D, of.T * of.D, of.D, 1});
    graph.product(dscores, k, sum);
    graph.point(Point::identity, sum, dq);
  }
  return graph;
}

}  // namespace lathe::cuda::cudnn
