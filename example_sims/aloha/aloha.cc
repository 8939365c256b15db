// The modules of the ALOHA example; `aloha.py` holds the same model for the embedded engine.
//
// SPDX-License-Identifier: MIT

#include <map>
#include <omnetpp.h>

using namespace omnetpp;

// What the medium tells a station about its frame.
enum Outcome { RECEIVED = 1, COLLIDED = 2 };

class Station : public cSimpleModule
{
  private:
    cMessage *attempt = nullptr;
    cPacket *frame = nullptr;
    int attempts = 0;
    long offered = 0;
    simsignal_t attemptsSignal;
    simsignal_t givenUpSignal;

  public:
    virtual ~Station()
    {
        delete frame;
        cancelAndDelete(attempt);
    }

  protected:
    virtual void initialize() override
    {
        attemptsSignal = registerSignal("attempts");
        givenUpSignal = registerSignal("givenUp");
        attempt = new cMessage("attempt");
        newFrame();
    }

    void newFrame()
    {
        attempts = 0;
        frame = new cPacket("frame");
        frame->setBitLength(par("frameLength").intValue());
        tryAfter(par("thinkTime").doubleValue());
    }

    // Plans the next attempt, at the beginning of a slot where there are slots.
    void tryAfter(simtime_t delay)
    {
        simtime_t t = simTime() + delay;
        simtime_t slot = par("slotTime").doubleValue();
        if (slot > SIMTIME_ZERO) {
            int64_t n = (t.raw() + slot.raw() - 1) / slot.raw();
            t = SimTime::fromRaw(n * slot.raw());
        }
        scheduleAt(t, attempt);
    }

    virtual void handleMessage(cMessage *msg) override
    {
        if (msg == attempt) {
            attempts++;
            offered++;
            send(frame->dup(), "out");
            return;
        }
        bool received = msg->getKind() == RECEIVED;
        delete msg;
        if (!received && attempts < par("maxAttempts").intValue())
            tryAfter(par("backoff").doubleValue());
        else {
            if (received)
                emit(attemptsSignal, attempts);
            else
                emit(givenUpSignal, frame->getBitLength());
            delete frame;
            newFrame();
        }
    }

    virtual void finish() override { recordScalar("offered", offered); }
};

Define_Module(Station);

class Medium : public cSimpleModule
{
  private:
    struct Transmission
    {
        cPacket *frame;
        int station;
        bool collided;
    };

    double datarate;
    std::map<cMessage *, Transmission> onAir;
    simtime_t busySince;
    simtime_t busyTime;
    long receivedBits = 0;
    long sent = 0;
    cHistogram gaps{"gaps"};
    simtime_t idleSince;
    simsignal_t onAirSignal;
    simsignal_t collisionSignal;
    simsignal_t receivedSignal;

  public:
    virtual ~Medium()
    {
        for (auto& entry : onAir) {
            delete entry.second.frame;
            cancelAndDelete(entry.first);
        }
    }

  protected:
    virtual void initialize() override
    {
        datarate = par("datarate").doubleValue();
        onAirSignal = registerSignal("onAir");
        collisionSignal = registerSignal("collision");
        receivedSignal = registerSignal("received");
        emit(onAirSignal, 0);
    }

    virtual void handleMessage(cMessage *msg) override
    {
        if (msg->isSelfMessage())
            frameEnds(msg);
        else
            frameBegins(check_and_cast<cPacket *>(msg));
    }

    void frameBegins(cPacket *frame)
    {
        sent++;
        bool collided = !onAir.empty();
        if (collided)
            for (auto& entry : onAir)
                entry.second.collided = true;
        else {
            busySince = simTime();
            gaps.collect(simTime() - idleSince);
        }
        cMessage *end = new cMessage("end");
        end->setSchedulingPriority(-1);  // a frame that begins when another one ends does not collide with it
        onAir[end] = Transmission{frame, frame->getArrivalGate()->getIndex(), collided};
        emit(onAirSignal, (long)onAir.size());
        scheduleAfter(frame->getBitLength() / datarate, end);
    }

    void frameEnds(cMessage *end)
    {
        Transmission ended = onAir[end];
        onAir.erase(end);
        delete end;
        if (!ended.collided) {
            receivedBits += ended.frame->getBitLength();
            emit(receivedSignal, ended.frame->getBitLength());
        }
        cMessage *outcome = new cMessage(ended.collided ? "collided" : "received", ended.collided ? COLLIDED : RECEIVED);
        send(outcome, "out", ended.station);
        delete ended.frame;
        emit(onAirSignal, (long)onAir.size());
        if (onAir.empty()) {
            busyTime += simTime() - busySince;
            idleSince = simTime();
            if (ended.collided)
                emit(collisionSignal, simTime() - busySince);
        }
    }

    virtual void finish() override
    {
        double capacity = simTime().dbl() * datarate;
        recordScalar("sent", sent);
        recordScalar("utilization", busyTime / simTime());
        recordScalar("throughput", receivedBits / capacity);
        recordStatistic(&gaps, "s");
    }
};

Define_Module(Medium);
