#include <lathe/tensor/shape.h>

#include <gtest/gtest.h>

namespace lathe {
namespace {
template <class F>
std::string error_of(const F& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The elements of a view of doubles, row-major.
std::vector<double> elements(const View& view) {
  std::vector<double> list;
  for (std::int64_t i = 0; i < view.count(); ++i) {
    std::int64_t rest = i;
    std::int64_t place = 0;
    for (int axis = view.shape.rank() - 1; axis >= 0; --axis) {
      place += rest % view.shape[axis] * view.stride(axis);
      rest /= view.shape[axis];
    }
    list.push_back(view.as<double>()[place]);
  }
  return list;
}

struct Counting : testing::Test {
  std::vector<double> values = std::vector<double>(24);
  View view;
  Counting() {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
    view = dense_view(values.data(), DType::f64, {2, 3, 4});
  }
};

TEST(Shapes, CountAndText) {
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ(Shape{}.text(), "[]");
  EXPECT_EQ((Shape{2, 0, 5}).count(), 0);
  EXPECT_EQ((Shape{2, 3, 4}).text(), "[2, 3, 4]");
  EXPECT_EQ((Shape{2, 3, 4})[-1], 4);
  EXPECT_EQ((Shape{2, 3, 4})[-3], 2);
  EXPECT_FALSE((Shape{2, 3}) == (Shape{2, 3, 1}));
  EXPECT_FALSE((Shape{2, 3}) == (Shape{3, 2}));
  EXPECT_TRUE((Shape{2, 3}) == (Shape{2, 3}));
}

TEST(Shapes, WhatCannotBeIsNamed) {
  EXPECT_EQ(error_of([] { Shape{2, 3}[2] = 1; }), "axis 2 of a tensor of rank 2");
  EXPECT_EQ(error_of([] { Shape{2, 3}[-3] = 1; }), "axis -3 of a tensor of rank 2");
  EXPECT_EQ(error_of([] { Shape{2, -3}; }), "a tensor cannot have the extent -3");
  EXPECT_EQ(error_of([] { Shape{1, 1, 1, 1, 1, 1}; }), "a tensor has at most 5 axes");
  EXPECT_EQ(error_of([] {
              broadcast_shape({2, 3}, {2, 4});
            }),
            "the shapes [2, 3] and [2, 4] do not broadcast");
}

TEST(Shapes, Broadcast) {
  EXPECT_EQ(broadcast_shape({2, 1, 4}, {3, 1}).text(), "[2, 3, 4]");
  EXPECT_EQ(broadcast_shape({}, {3, 1}).text(), "[3, 1]");
  EXPECT_EQ(broadcast_shape({0, 1}, {1, 5}).text(), "[0, 5]");
}

TEST_F(Counting, DenseStrides) {
  const Strides strides = dense_strides({2, 3, 4});
  EXPECT_EQ(strides[0], 12);
  EXPECT_EQ(strides[1], 4);
  EXPECT_EQ(strides[2], 1);
  EXPECT_TRUE(view.is_dense());
  EXPECT_FALSE(transposed(view, 0, 1).is_dense());
  EXPECT_TRUE(sliced(view, 0, 1, 2).is_dense());
  EXPECT_FALSE(sliced(view, 2, 1, 3).is_dense());
  EXPECT_TRUE(sliced(view, 2, 1, 1).is_dense());  // no elements, no holes
}

TEST_F(Counting, SliceAndTranspose) {
  EXPECT_EQ(elements(sliced(sliced(view, 1, 2, 3), -1, 1, 3)),
            (std::vector<double>{9, 10, 21, 22}));
  EXPECT_EQ(elements(sliced(transposed(view, 0, -1), 1, 0, 1)),
            (std::vector<double>{0, 12, 1, 13, 2, 14, 3, 15}));
  EXPECT_EQ(error_of([&] { sliced(view, 1, 2, 4); }),
            "cannot take 2 to 4 of axis 1 of a tensor [2, 3, 4]");
  EXPECT_EQ(error_of([&] { transposed(view, 0, 3); }), "axis 3 of a tensor [2, 3, 4]");
}

TEST_F(Counting, ReshapeOfStridedViews) {
  // The window [.., 1:3] keeps rows of two: its outer axes can be merged or cut, not the last.
  const View window = sliced(view, 2, 1, 3);
  EXPECT_EQ(elements(reshaped(window, {6, 2})), elements(window));
  EXPECT_EQ(elements(reshaped(window, {1, 3, 2, 1, 2})), elements(window));
  EXPECT_EQ(elements(reshaped(window, {2, 3, 2, 1})), elements(window));
  EXPECT_EQ(error_of([&] { reshaped(window, {12}); }),
            "cannot view a strided tensor [2, 3, 2] as [12]: copy it with contiguous() first");
  const View turned = transposed(view, 0, 1);
  EXPECT_EQ(elements(reshaped(turned, {3, 2, 2, 2})), elements(turned));
  EXPECT_EQ(error_of([&] {
              reshaped(turned, {6, 4});
            }),
            "cannot view a strided tensor [3, 2, 4] as [6, 4]: copy it with contiguous() first");
  EXPECT_EQ(error_of([&] {
              reshaped(view, {5, 5});
            }),
            "cannot view a tensor [2, 3, 4] as [5, 5]: 24 elements are not 25");
}

TEST_F(Counting, StridesOfSingleElementsMeanNothing) {
  const View column = transposed(sliced(reshaped(view, {6, 4}), 1, 2, 3), 0, 1);  // [1, 6]
  EXPECT_EQ(elements(reshaped(column, {6})), (std::vector<double>{2, 6, 10, 14, 18, 22}));
  EXPECT_EQ(elements(reshaped(column, {2, 1, 3})), elements(column));
  const View one = sliced(sliced(sliced(view, 0, 1, 2), 1, 1, 2), 2, 3, 4);
  EXPECT_EQ(elements(reshaped(one, {})), (std::vector<double>{19}));
  EXPECT_EQ(elements(reshaped(one, {1, 1})), (std::vector<double>{19}));
}

TEST_F(Counting, BroadcastRepeatsByStrideZero) {
  const View row = reshaped(sliced(view, 0, 0, 1), {3, 4});
  const View wide = broadcast(sliced(row, 1, 1, 2), {2, 3, 2});
  EXPECT_EQ(elements(wide), (std::vector<double>{1, 1, 5, 5, 9, 9, 1, 1, 5, 5, 9, 9}));
  EXPECT_EQ(wide.stride(0), 0);
  EXPECT_EQ(error_of([&] { broadcast(row, {4, 4}); }), "cannot repeat a tensor [3, 4] to [4, 4]");
  EXPECT_EQ(error_of([&] { broadcast(row, {4}); }), "cannot repeat a tensor [3, 4] to [4]");
}

TEST_F(Counting, ElementsOfAnotherTypeAreRefused) {
  EXPECT_EQ(error_of([&] { view.as<float>(); }), "a tensor of f64 was read as f32");
}

}  // namespace
}  // namespace lathe
