// What a fake actor is told to do wrong, and what it has been asked.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/server_context.h"
#include "rein/v1/common.pb.h"

namespace rein::coordinator::fakes {

// How long a test waits for what must happen.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// One per place in the job, over all lives of the actor there. Thread-safe. Methods are named as in the
// protocol ("Score"). Three more moments count as methods: "Sample", a sample that Generate is about to
// answer; "Trained", a step that is trained but not yet answered; "Saved", a state that is written but not
// yet answered.
class Script {
 public:
  // The next calls of `method` are answered with `status`.
  void Fail(const std::string& method, const absl::Status& status, int times = 1);
  // The actor dies, without goodbye, in the call after `after` more calls.
  void Die(const std::string& method, int after = 0);
  // Calls of `method` wait until they are released, or their caller goes away.
  void Hold(const std::string& method);
  void Release(const std::string& method);

  // What happens to one sample instead of an answer.
  enum class Spoilt { kNaN, kMissing, kWrongLength, kError };
  static constexpr int kAlways = 1 << 30;
  void Spoil(const std::string& sample_id, Spoilt how, int times);
  // Generate refuses this prompt.
  void Refuse(const std::string& prompt_id);
  // No heartbeats are sent.
  void SetMute(bool mute);
  // The scorer calls itself by this digest from now on, not by its model's.
  void SetDigest(const std::string& digest);
  // The guard finds everything severe.
  void SetStrict(bool strict);
  // Most samples that the scorer takes in one request.
  void SetMaxBatch(int samples);
  // The next fingerprints of received weights are wrong.
  void SpoilFingerprints(int times);

  int calls(const std::string& method) const;
  // Waits until `method` has been called that often; false after kPatience.
  bool AwaitCalls(const std::string& method, int count) const;
  // How often each sample was in a request.
  std::map<std::string, int> asked() const;
  // Sample ids of every request, in order.
  std::vector<std::vector<std::string>> requests() const;
  // Versions that were trained, in order.
  std::vector<v1::WeightVersion> trained() const;
  // Folders that were loaded.
  std::vector<std::string> loaded() const;

  // The actor's side. Counts the call and does what was asked for: `die` is called where the actor must die.
  absl::Status Enter(const std::string& method, const grpc::ServerContext* context,
                     const std::function<void()>& die);
  void NoteRequest(std::vector<std::string> sample_ids);
  void NoteTrained(const v1::WeightVersion& version);
  void NoteLoaded(const std::string& folder);
  // nullopt: answer as it should be.
  std::optional<Spoilt> TakeSpoilt(const std::string& sample_id);
  bool refused(const std::string& prompt_id) const;
  bool mute() const;
  std::string digest() const;
  bool strict() const;
  int max_batch() const;
  bool TakeWrongFingerprint();

 private:
  struct Method {
    int calls = 0;
    int failures = 0;
    absl::Status failure;
    int die_in = 0;  // at the how-manieth call from now; 0: never
    bool held = false;
  };
  struct Spoiling {
    Spoilt how;
    int times;
  };
  mutable absl::Mutex mutex_;
  std::map<std::string, Method> methods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Spoiling> spoilt_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> refused_ ABSL_GUARDED_BY(mutex_);
  bool mute_ ABSL_GUARDED_BY(mutex_) = false;
  bool strict_ ABSL_GUARDED_BY(mutex_) = false;
  std::string digest_ ABSL_GUARDED_BY(mutex_);
  int max_batch_ ABSL_GUARDED_BY(mutex_) = 0;
  int wrong_fingerprints_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::vector<std::string>> requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::WeightVersion> trained_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> loaded_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::coordinator::fakes
