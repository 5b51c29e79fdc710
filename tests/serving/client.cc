// Runs the signatures of a SavedModel as TF Serving does: loaded by LoadSavedModel, without Python.
//
//   client MODEL REQUESTS RESPONSES [OP_LIBRARY...]
//
// REQUESTS/<signature>/<input> are serialized TensorProtos; RESPONSES/<signature>/<output> likewise.

#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/platform/env.h"

namespace fs = std::filesystem;
using tensorflow::Env;
using tensorflow::Tensor;
using tensorflow::TensorProto;

void Check(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::cerr << what << ": " << status << std::endl;
  std::exit(1);
}

std::vector<std::pair<std::string, Tensor>> Read(const fs::path& folder,
                                                 const tensorflow::SignatureDef& signature) {
  std::vector<std::pair<std::string, Tensor>> inputs;
  for (const auto& [name, info] : signature.inputs()) {
    TensorProto proto;
    Check(ReadBinaryProto(Env::Default(), folder / name, &proto), name);
    Tensor tensor;
    if (!tensor.FromProto(proto)) Check(absl::InvalidArgumentError("no tensor"), name);
    inputs.emplace_back(info.name(), tensor);
  }
  return inputs;
}

void Run(const tensorflow::SavedModelBundle& bundle, const fs::path& request,
         const fs::path& response) {
  const std::string name = request.filename();
  const auto& signature = bundle.GetSignatures().at(name);
  std::vector<std::string> keys, fetches;
  for (const auto& [key, info] : signature.outputs()) {
    keys.push_back(key);
    fetches.push_back(info.name());
  }
  std::vector<Tensor> outputs;
  Check(bundle.session->Run(Read(request, signature), fetches, {}, &outputs), name);
  fs::create_directories(response);
  for (size_t at = 0; at < keys.size(); ++at) {
    TensorProto proto;
    outputs[at].AsProtoField(&proto);  // Python reads no strings of a tensor's content
    Check(WriteBinaryProto(Env::Default(), response / keys[at], proto), keys[at]);
  }
}

int main(int count, char** arguments) {
  for (int at = 4; at < count; ++at) {
    void* handle;
    Check(Env::Default()->LoadDynamicLibrary(arguments[at], &handle), arguments[at]);
  }
  tensorflow::SavedModelBundle bundle;
  Check(LoadSavedModel({}, {}, arguments[1], {"serve"}, &bundle),
        arguments[1]);
  for (const auto& request : fs::directory_iterator(arguments[2])) {
    Run(bundle, request.path(), fs::path(arguments[3]) / request.path().filename());
  }
}
